"""What flows between the stages: frozen records, without torch.

A fact that was not measured is None here and absent in JSON.
"""

from gptrace.record.explanation import Claim, Explanation, Topic
from gptrace.record.generation import Generation, GenerationResult, GenerationSettings, GenerationStep
from gptrace.record.lens import Lens, LensCell, LensLayer, LensResult
from gptrace.record.loss import Loss, LossResult, LossTotal, ScoredToken
from gptrace.record.model import ModelInfo, ParameterTotals, Preset, Presets
from gptrace.record.predictions import Candidate, Prediction, Problem, TopK, TopKResult, TopKStream
from gptrace.record.tokens import Prompt, Token, Tokens
from gptrace.record.trace import (
    Cost,
    Failure,
    FlowStep,
    ModuleCall,
    OpCall,
    ParameterCount,
    Statistics,
    TensorSpec,
    Totals,
    Trace,
)

__all__ = [
    "Candidate",
    "Claim",
    "Cost",
    "Explanation",
    "Failure",
    "FlowStep",
    "Generation",
    "GenerationResult",
    "GenerationSettings",
    "GenerationStep",
    "Lens",
    "LensCell",
    "LensLayer",
    "LensResult",
    "Loss",
    "LossResult",
    "LossTotal",
    "ModelInfo",
    "ModuleCall",
    "OpCall",
    "ParameterCount",
    "ParameterTotals",
    "Prediction",
    "Preset",
    "Presets",
    "Problem",
    "Prompt",
    "ScoredToken",
    "Statistics",
    "TensorSpec",
    "Token",
    "Tokens",
    "TopK",
    "TopKResult",
    "TopKStream",
    "Topic",
    "Totals",
    "Trace",
]
