// Made from the JSON Schema by `make web`; change the records in gptrace/record instead.

/**
 * A trace, its graph, and what the views of the page show beside it.
 */
export interface Page {
  schema: "gptrace.page/1";
  /**
   * version of each program that made the record
   */
  versions: {
    [k: string]: string;
  };
  language: string;
  trace: Trace;
  graph: Graph;
  prompts: PagePrompt[];
  /**
   * of the first prompt, in English and in Chinese, or none
   */
  explanations?: Explanation[];
  check?: Check | null;
  left_out?: LeftOut[];
}
/**
 * Everything that was recorded of a forward pass. `print(trace)` is the table.
 */
export interface Trace {
  schema: "gptrace.trace/1";
  /**
   * version of each program that made the record
   */
  versions: {
    [k: string]: string;
  };
  model: ModelInfo;
  /**
   * size of each axis name in this run
   */
  dims: {
    [k: string]: number;
  };
  inputs: TracedPrompt[];
  flow: FlowStep[];
  calls: ModuleCall[];
  /**
   * paths of modules that never ran
   */
  uncalled: string[];
  /**
   * the logits are divided by it before the softmax
   */
  temperature: number;
  predictions: Prediction[];
  totals: Totals;
  /**
   * remarks on the trace, such as axes without a name
   */
  notes: string[];
  error: Failure | null;
  /**
   * number of logits at one position
   */
  logits_per_position?: number | null;
}
/**
 * The model that ran: its name for people, its class, its weights and its size.
 */
export interface ModelInfo {
  name: string;
  class: string;
  /**
   * configuration keys and values
   */
  config?: {} | null;
  /**
   * `source` is their origin, `seed` that of random ones
   */
  weights?: {} | null;
  parameters: ParameterTotals;
  buffers: Buffers;
  dtype: string;
  device: string;
}
/**
 * The parameters of a model.
 */
export interface ParameterTotals {
  /**
   * a tensor with two names counts twice
   */
  total: number;
  /**
   * each tensor counts once
   */
  unique: number;
  trainable: number;
  /**
   * of the unique parameters
   */
  bytes: number;
  /**
   * names that share one tensor
   */
  tied: string[][];
  /**
   * unique, less those of the output head alone
   */
  without_out_head?: number | null;
}
/**
 * The buffers of a model.
 */
export interface Buffers {
  bytes: number;
}
/**
 * One prompt of the batch.
 */
export interface TracedPrompt {
  /**
   * null for ids that do not decode to UTF-8
   */
  text: string | null;
  /**
   * token ids, without padding
   */
  ids: number[];
  tokens: Token[];
  /**
   * positions added on the right to make the batch rectangular
   */
  padding: number;
  /**
   * tokens cut off on the left to fit the context
   */
  truncated: number;
}
/**
 * One token: its id, its text and its bytes, where they are known.
 */
export interface Token {
  id: number;
  /**
   * null for a part of a UTF-8 character
   */
  text: string | null;
  /**
   * in hexadecimal; null for an unknown id
   */
  bytes: string | null;
}
/**
 * One step of the main line: the tensor that leaves the module `at`.
 */
export interface FlowStep {
  at: string;
  shape: number[];
  /**
   * names of the axes; a size in digits where nothing names it
   */
  dims: string[];
}
/**
 * One call of one module; a module called twice has two of these.
 *
 *     Calls are in order of entry, so a parent stands before its children. Times, costs and memory include the
 *     children.
 */
export interface ModuleCall {
  index: number;
  /**
   * index of the call that was open around it
   */
  parent: number | null;
  depth: number;
  path: string;
  type: string;
  /**
   * number among the calls of this module
   */
  call: number;
  /**
   * calls of this module
   */
  calls: number;
  inputs: TensorSpec[];
  outputs: TensorSpec[];
  parameters: ParameterCount;
  seconds: number;
  /**
   * multiply-accumulates in matrix products, convolutions and attention
   */
  macs?: number | null;
  /**
   * kernels of unknown cost, which are not in macs
   */
  macs_unknown?: string[];
  /**
   * peak memory of activations while it ran
   */
  peak_bytes?: number | null;
  ops?: OpCall[];
  /**
   * absent where it did not raise
   */
  failed?: boolean;
}
/**
 * The name, axes, shape, dtype and device of a tensor when the trace saw it.
 */
export interface TensorSpec {
  /**
   * where the tensor was: an argument's name, output, output.logits, output[1]
   */
  name: string;
  shape: number[];
  /**
   * names of the axes; a size in digits where nothing names it
   */
  dims: string[];
  dtype: string;
  device: string;
  /**
   * this process's part of a tensor spread over several
   */
  local_shape?: number[] | null;
  statistics?: Statistics | null;
  /**
   * where an input or the output of a call came from, if operations were recorded and it is known
   */
  from?: Origin | null;
}
/**
 * Statistics of a tensor's finite numbers, null where there are none, and the count of the others.
 */
export interface Statistics {
  mean: number | null;
  std: number | null;
  min: number | null;
  max: number | null;
  nan: number;
  infinite: number;
}
/**
 * Where a tensor came from: from an operation or a call, from the caller, or from the module itself.
 *
 *     `call` and `op` are the operation that made the tensor, or wrote into its memory last: number `op` among
 *     the `ops` of the call in which it ran. `call` alone is the innermost call that returned it, of whose
 *     inside nothing was recorded. A tensor from the caller has `input`, and a parameter or a buffer has
 *     `parameter`, of a tied one the first path. A tensor that is returned as it was given, as dropout does in
 *     evaluation, comes from there for all that follows in the same call.
 */
export interface Origin {
  /**
   * index of the call
   */
  call?: number | null;
  /**
   * number of the operation among the ops of the call, from 0
   */
  op?: number | null;
  /**
   * number of the tensor among the outputs of its maker, where that has several
   */
  output?: number | null;
  /**
   * name of the tensor among the inputs of the outermost call
   */
  input?: string | null;
  /**
   * path of the parameter or buffer
   */
  parameter?: string | null;
  /**
   * who wrote other parts of it in place, where one alone did not make it
   */
  also?: Origin[];
}
/**
 * Parameters of a module: `own` without its children, `total` with them; each tensor counts once.
 */
export interface ParameterCount {
  own: number;
  total: number;
  /**
   * of total
   */
  trainable: number;
  /**
   * of total
   */
  bytes: number;
}
/**
 * One functional operation, between the calls of modules.
 */
export interface OpCall {
  name: string;
  /**
   * index of the next call when it ran
   */
  place: number;
  inputs: TensorSpec[];
  outputs: TensorSpec[];
  /**
   * the output shares memory with an input
   */
  view: boolean;
  in_place: boolean;
  /**
   * file and line of the code that called it
   */
  source: string;
  /**
   * multiply-accumulates in matrix products, convolutions and attention
   */
  macs?: number | null;
  /**
   * kernels of unknown cost, which are not in macs
   */
  macs_unknown?: string[];
  /**
   * absent where it did not raise
   */
  failed?: boolean;
  /**
   * number of the cell, where the line is in a notebook
   */
  cell?: number | null;
}
/**
 * The candidates for the token that follows `position` of prompt number `input`.
 *
 *     There are none where the greatest logit is NaN or infinite, since these have no probabilities.
 */
export interface Prediction {
  input: number;
  position: number;
  candidates: Candidate[];
  /**
   * which operation made the NaN or Inf, where it is found
   */
  origin?: string;
}
/**
 * A possible next token; its log-probability is natural.
 */
export interface Candidate {
  rank: number;
  id: number;
  /**
   * null for a part of a UTF-8 character
   */
  text: string | null;
  /**
   * in hexadecimal; null for an unknown id
   */
  bytes: string | null;
  /**
   * null stands for NaN or an infinity
   */
  logit: number | null;
  /**
   * null stands for NaN or an infinity
   */
  probability: number | null;
  /**
   * null stands for NaN or an infinity
   */
  log_probability: number | null;
}
/**
 * Sums over the trace, as far as they were measured.
 */
export interface Totals {
  calls: number;
  modules: number;
  seconds: number;
  /**
   * multiply-accumulates in matrix products, convolutions and attention
   */
  macs?: number | null;
  /**
   * kernels of unknown cost, which are not in macs
   */
  macs_unknown?: string[];
  /**
   * peak memory of activations
   */
  peak_bytes?: number | null;
  /**
   * number of operations
   */
  ops?: number | null;
}
/**
 * The exception that stopped the forward pass: in which module, with which inputs, and why.
 */
export interface Failure {
  path: string;
  type: string;
  message: string;
  /**
   * file, line and code of the model's own
   */
  source: string;
  /**
   * a name for one of the usual causes
   */
  cause: string | null;
  /**
   * the likely cause in words
   */
  diagnosis: string | null;
  inputs: TensorSpec[];
}
/**
 * The nodes and edges of a trace that was recorded with its operations.
 */
export interface Graph {
  nodes: Node[];
  edges: Edge[];
}
/**
 * A call of a module, an operation, or an end of the graph where a tensor enters or leaves it.
 *
 *     Nodes stand in order of execution, a box before what it contains. Equal blocks are one node: `layers` has
 *     the index of the call of each. What is inside of block n is found from what is inside of the first: its
 *     `call` is greater by layers[n] - layers[0].
 */
export interface Node {
  id: number;
  /**
   * id of the box around it; null of the whole model and the ends
   */
  parent: number | null;
  kind: "input" | "module" | "operation" | "output" | "parameter";
  /**
   * name of the attribute, the operation or the argument
   */
  label: string;
  /**
   * index of the call, or of that which made the operation
   */
  call?: number | null;
  /**
   * number of the operation among the ops of the call
   */
  op?: number | null;
  /**
   * of equal blocks, the indexes of all their calls
   */
  layers?: number[];
}
/**
 * A tensor that flows from one node to another inside of one box.
 *
 *     `box` is the id of the box whose picture the edge is in, null outside of the model. An edge whose `source`
 *     is the box itself brings one of its inputs in; one whose `target` is the box takes an output out.
 */
export interface Edge {
  box: number | null;
  source: number;
  target: number;
  shape: number[];
  /**
   * names of the axes; a size in digits where nothing names it
   */
  dims: string[];
  /**
   * number of the tensor: edges of one tensor have the same
   */
  tensor: number;
}
/**
 * What one prompt of the batch made; a view whose part is absent has a reason in `left_out`.
 */
export interface PagePrompt {
  attention?: AttentionMap[];
  stream?: StreamPoint[];
  projection?: Projection | null;
  lens?: LensResult | null;
  loss?: LossResult | null;
}
/**
 * One place where the model attends. `heads` has the chosen ones, `numbers` says which these are.
 */
export interface AttentionMap {
  path: string;
  /**
   * index of the call that it is in
   */
  call: number;
  head_count: number;
  /**
   * of the chosen heads, from 0
   */
  numbers: number[];
  heads: HeadWeights[];
  /**
   * no query gives weight to a later token: rows are triangles
   */
  is_causal: boolean;
  /**
   * a fused kernel hides the weights: from its queries and keys
   */
  is_recomputed: boolean;
  /**
   * of the output by these weights and the kernel's, at most; null if not compared
   */
  difference?: (number | null) | null;
  /**
   * how many tokens a query looks at, at most; 0 if at all before it
   */
  window?: number;
}
/**
 * The attention of one head; the entropy of a query is in nats, and averaged over all queries.
 */
export interface HeadWeights {
  /**
   * uint8, 255 is 1, row by row; without later tokens if causal
   */
  weights: string;
  /**
   * null where the weights of a query do not sum to 1
   */
  entropy: number | null;
}
/**
 * The residual stream after one call: the norm of what was added, and of the sum, at each position.
 */
export interface StreamPoint {
  path: string;
  call: number;
  /**
   * of the stream, for each position
   *
   * Items: null stands for NaN or an infinity
   */
  norms: (number | null)[];
  /**
   * of what the call added; empty for the embeddings
   *
   * Items: null stands for NaN or an infinity
   */
  added?: (number | null)[];
}
/**
 * How the last position becomes logits: x·Wᵀ, shown on the candidates' rows.
 */
export interface Projection {
  /**
   * the output head
   */
  path: string;
  /**
   * float32[emb_dim], what the head took at the last position
   */
  hidden: string;
  rows: Row[];
  /**
   * uint16, one for each token; a logit is low + number * step, of 65535 minus infinity
   */
  logits: string;
  /**
   * null stands for NaN or an infinity
   */
  low: number | null;
  /**
   * null stands for NaN or an infinity
   */
  step: number | null;
}
/**
 * A candidate for the next token, with its row of the output head and the product that is its logit.
 */
export interface Row {
  id: number;
  token: Token;
  /**
   * float32[emb_dim], the row of the output head
   */
  weights: string;
  /**
   * null stands for NaN or an infinity
   */
  bias: number | null;
  /**
   * null stands for NaN or an infinity
   */
  logit: number | null;
}
/**
 * The layers of one prompt, first to last.
 */
export interface LensResult {
  index: number;
  /**
   * null for ids that do not decode to UTF-8
   */
  text: string | null;
  /**
   * token ids, without padding
   */
  ids: number[];
  /**
   * empty with an error
   */
  layers: LensLayer[];
  /**
   * of the last layer's logits and the model's: rounding
   */
  difference: number | null;
  tokens: Token[];
  /**
   * why this prompt of a stream has no layers
   */
  error?: Problem | null;
  extra?: {};
}
/**
 * A layer: its candidates after the last token, and a cell for each position.
 */
export interface LensLayer {
  path: string;
  /**
   * after the last token
   *
   * @minItems 1
   */
  candidates: Candidate[];
  /**
   * rank of the whole model's prediction, from 1
   */
  rank_of_prediction: number;
  positions: LensCell[];
}
/**
 * A layer at one position: its most likely token, and what it makes of the model's prediction there.
 *
 *     A page has more candidates, so that they can be looked at.
 */
export interface LensCell {
  position: number;
  candidates: Candidate[];
  /**
   * rank of the whole model's prediction, from 1
   */
  rank_of_prediction: number;
  /**
   * that the layer gives to the whole model's prediction
   */
  probability_of_prediction?: number | null;
}
/**
 * Why one prompt of a stream has no result, and what to do about it.
 */
export interface Problem {
  message: string;
  hint: string;
}
/**
 * The loss of one text. `windows` is the number of forward passes that the text took.
 */
export interface LossResult {
  index: number;
  /**
   * null for ids that do not decode to UTF-8
   */
  text: string | null;
  /**
   * token ids, without padding
   */
  ids: number[];
  tokens: ScoredToken[];
  /**
   * mean of -log_probability, in nats; null where nothing is predicted
   */
  loss: number | null;
  /**
   * exp(loss); null where it is NaN or infinite
   */
  perplexity: number | null;
  /**
   * forward passes; 0 with an error
   */
  windows: number;
  /**
   * why this prompt of a stream has no loss
   */
  error?: Problem | null;
  extra?: {};
}
/**
 * A token of a text, and the probability that the model gave it; the first token has none.
 */
export interface ScoredToken {
  id: number;
  /**
   * null for a part of a UTF-8 character
   */
  text: string | null;
  /**
   * in hexadecimal; null for an unknown id
   */
  bytes: string | null;
  /**
   * natural; absent for the first token
   */
  log_probability?: number | null;
  /**
   * null stands for NaN or an infinity
   */
  probability?: number | null;
  /**
   * among all tokens; absent where the probability is NaN
   */
  rank?: number | null;
}
/**
 * The topics, in reading order.
 */
export interface Explanation {
  schema: "gptrace.explain/1";
  /**
   * version of each program that made the record
   */
  versions: {
    [k: string]: string;
  };
  model: ModelInfo;
  language: string;
  /**
   * null for ids that do not decode to UTF-8
   */
  text: string | null;
  /**
   * token ids, without padding
   */
  ids: number[];
  topics: Topic[];
  notes: string[];
  tokens: Token[];
}
/**
 * The claims about one question.
 */
export interface Topic {
  topic: string;
  title: string;
  claims: Claim[];
}
/**
 * A sentence, the figures measured for it, and whether they confirm it.
 */
export interface Claim {
  /**
   * a name for the claim, the same in every language
   */
  key: string;
  text: string;
  measured: string;
  /**
   * null where the claim does not apply or could not be measured
   */
  holds: boolean | null;
  /**
   * the gptrace check that fails as well where the claim does not hold
   */
  check?: string;
  /**
   * the line that this check blames
   */
  source?: SourceLine | null;
}
/**
 * A line of the model's own code; in a notebook, `line` is counted in its cell.
 */
export interface SourceLine {
  file: string;
  line: number;
  text: string;
  function?: string;
  /**
   * number of the cell, where the line is in a notebook
   */
  cell?: number | null;
}
/**
 * The checks in their order; true if one of them holds and none fails.
 *
 *     `assert gptrace.check(model)` works in pytest, which shows the lines that are wrong. Elsewhere a failed
 *     assertion says nothing: there, `raise_for_failures` says what is wrong.
 */
export interface Check {
  schema: "gptrace.check/1";
  /**
   * version of each program that made the record
   */
  versions: {
    [k: string]: string;
  };
  model: ModelInfo;
  language: string;
  checks: CheckResult[];
  notes?: string[];
}
/**
 * The outcome of one check; of the fields below `sentence`, those that are known.
 */
export interface CheckResult {
  name: string;
  /**
   * null where the check does not apply or cannot be judged
   */
  holds: boolean | null;
  sentence: string;
  /**
   * the number that was measured
   */
  figure?: number | null;
  /**
   * the number that it was held against
   */
  tolerance?: number | null;
  /**
   * why the check does not apply or cannot be judged
   */
  reason?: string;
  /**
   * the module in which the operation runs
   */
  path?: string;
  /**
   * the first operation that breaks it
   */
  operation?: string;
  /**
   * the axes of what goes into it
   */
  before?: string[];
  /**
   * the axes of what comes out of it
   */
  after?: string[];
  source?: SourceLine | null;
  /**
   * the likely mistake
   */
  likely?: string;
  /**
   * what to write instead
   */
  instead?: string;
  /**
   * false where the model has nothing that the check is about
   */
  applies?: boolean;
}
/**
 * A view, or a part of it, that the page does not have, and why, in both languages.
 */
export interface LeftOut {
  view: "attention" | "failure" | "lens" | "loss" | "map" | "stream" | "table" | "why";
  reason: string;
  reason_zh: string;
}
