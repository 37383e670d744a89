"""The contract: frozen structs, one file for each output. Their encoding is the JSON.

Nothing here imports torch. `writing.py` writes records, `reading.py` reads them back, `schema.py` derives
the JSON Schemas from their types. The file of an output has the name of its
schema: "gptrace.topk/1" is in topk.py.
"""

from gptrace.record.base import Record, Report
from gptrace.record.check import Check, CheckResult, SourceLine
from gptrace.record.cost import Cost
from gptrace.record.diff import Change, ChangedCall, Difference, TraceSummary, ValueDifference
from gptrace.record.explain import Claim, Explanation, Topic
from gptrace.record.generate import (
    Generation,
    GenerationResult,
    GenerationSettings,
    GenerationStep,
    GenerationStream,
)
from gptrace.record.graph import Edge, Graph, Node
from gptrace.record.lens import Lens, LensCell, LensLayer, LensResult, LensStream
from gptrace.record.loss import Loss, LossResult, LossStream, LossTotal, ScoredToken
from gptrace.record.mesh import Here, Mesh, RankDifference, RankFacts, Traffic
from gptrace.record.model import Buffers, DeviceShare, ModelInfo, ParameterTotals, ProductRates
from gptrace.record.models import Preset, PresetParameters, Presets, PublishedWeights
from gptrace.record.page import (
    AttentionMap,
    HeadWeights,
    LeftOut,
    Page,
    PagePrompt,
    Projection,
    Row,
    StreamPoint,
)
from gptrace.record.prompt_result import Problem, PromptResult
from gptrace.record.source import CodeFile, CodeLine, HiddenFile, Source
from gptrace.record.tokens import Token, TokenizedPrompt, Tokens, TokensStream
from gptrace.record.topk import Candidate, PositionPrediction, TopK, TopKResult, TopKStream
from gptrace.record.trace import (
    Failure,
    FlowStep,
    ModuleCall,
    OpCall,
    Origin,
    ParameterCount,
    Prediction,
    Statistics,
    TensorSpec,
    Totals,
    Trace,
    TracedPrompt,
)
