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
  /**
   * language in which the page opens
   */
  language: string;
  trace: Trace;
  graph: Graph;
  /**
   * what each prompt of the batch made
   */
  prompts: PagePrompt[];
  /**
   * of the first prompt, in English and in Chinese, or none
   */
  explanations?: Explanation[];
  /**
   * the verdict of gptrace check, if it was asked for
   */
  check?: Check | null;
  /**
   * the views that are not there
   */
  left_out?: LeftOut[];
  /**
   * the same verdict in the other language, English or Chinese
   */
  check_translated?: Check | null;
  /**
   * the likely cause of the trace's error, in Chinese, if one is known
   */
  diagnosis_zh?: string;
  /**
   * the line of the trace's error, its place in Chinese
   */
  source_zh?: string;
}
/**
 * the trace that it shows
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
  /**
   * the prompts of the batch
   */
  inputs: TracedPrompt[];
  /**
   * the shapes on the main line, from ids to logits
   */
  flow: FlowStep[];
  /**
   * every call of every module, in order of entry
   */
  calls: ModuleCall[];
  /**
   * paths of modules that never ran
   */
  uncalled: string[];
  /**
   * the logits are divided by it before the softmax
   */
  temperature: number;
  /**
   * the next tokens of each prompt
   */
  predictions: Prediction[];
  totals: Totals;
  /**
   * remarks on the trace, such as axes without a name
   */
  notes: string[];
  /**
   * the exception that ended the run, or null
   */
  error: Failure | null;
  /**
   * number of logits at one position
   */
  logits_per_position?: number | null;
  /**
   * the devices that the model is spread over, where it is
   */
  mesh?: Mesh | null;
}
/**
 * the model that ran
 */
export interface ModelInfo {
  /**
   * name of the preset, or of what --model named
   */
  name: string;
  /**
   * class of the module
   */
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
  /**
   * dtype of the parameters
   */
  dtype: string;
  /**
   * device of the parameters; while it runs, where they are brought in
   */
  device: string;
  /**
   * where the parameters are between calls, disk among them, if that is not `device` alone
   */
  parameters_by_device?: {
    [k: string]: DeviceShare;
  } | null;
  /**
   * matrix products that were measured to pick the dtype, for `--dtype auto`
   */
  dtype_rates?: ProductRates | null;
}
/**
 * how many numbers it has
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
  /**
   * those that require gradients
   */
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
 * tensors that are no parameters
 */
export interface Buffers {
  /**
   * bytes in memory
   */
  bytes: number;
}
/**
 * The parameters on one device, or on the disk.
 */
export interface DeviceShare {
  /**
   * how many numbers, each tensor counted once
   */
  parameters: number;
  /**
   * their bytes
   */
  bytes: number;
}
/**
 * How fast a machine multiplies matrices, in 10⁹ floating-point operations a second.
 */
export interface ProductRates {
  /**
   * in float32
   */
  float32: number;
  /**
   * in bfloat16
   */
  bfloat16: number;
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
  /**
   * the tokens of the prompt, without padding
   */
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
   * what it adds within a text; null for a part of a UTF-8 character
   */
  text: string | null;
  /**
   * in hexadecimal; null where they are not known
   */
  bytes: string | null;
}
/**
 * One step of the main line: the tensor that leaves the module `at`.
 */
export interface FlowStep {
  /**
   * input, or the path of the module whose output this is
   */
  at: string;
  /**
   * sizes of the axes
   */
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
  /**
   * number of the call in order of entry, from 0
   */
  index: number;
  /**
   * index of the call that was open around it
   */
  parent: number | null;
  /**
   * how many calls it is inside of
   */
  depth: number;
  /**
   * path of the module; empty for the model itself
   */
  path: string;
  /**
   * class of the module
   */
  type: string;
  /**
   * number among the calls of this module
   */
  call: number;
  /**
   * calls of this module
   */
  calls: number;
  /**
   * the tensors among its arguments
   */
  inputs: TensorSpec[];
  /**
   * the tensors in what it returned
   */
  outputs: TensorSpec[];
  parameters: ParameterCount;
  /**
   * time from entry to return
   */
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
  /**
   * the operations of this call, if they were recorded
   */
  ops?: OpCall[];
  /**
   * absent where it did not raise
   */
  failed?: boolean;
  /**
   * the part of this rank, where the model is spread over several
   */
  here?: Here | null;
}
/**
 * The name, axes, shape, dtype and device of a tensor when the trace saw it.
 */
export interface TensorSpec {
  /**
   * where the tensor was: an argument's name, output, output.logits, output[1]
   */
  name: string;
  /**
   * sizes of the axes
   */
  shape: number[];
  /**
   * names of the axes; a size in digits where nothing names it
   */
  dims: string[];
  /**
   * dtype, as torch calls it
   */
  dtype: string;
  /**
   * device, as torch calls it
   */
  device: string;
  /**
   * this process's part of a tensor spread over several
   */
  local_shape?: number[] | null;
  /**
   * for each axis, the mesh dimensions that split it, the outermost first; empty if none is split
   */
  split_by?: string[][];
  /**
   * mesh dimension to Shard(…), Replicate() or Partial(…), as torch writes it
   */
  placements?: {
    [k: string]: string;
  } | null;
  /**
   * figures of its values, if they were measured
   */
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
  /**
   * mean of the finite values
   */
  mean: number | null;
  /**
   * standard deviation of the finite values
   */
  std: number | null;
  /**
   * least finite value
   */
  min: number | null;
  /**
   * greatest finite value
   */
  max: number | null;
  /**
   * number of values that are NaN
   */
  nan: number;
  /**
   * number of values that are infinite
   */
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
 * how many parameters the module has
 */
export interface ParameterCount {
  /**
   * of the module itself
   */
  own: number;
  /**
   * with those of its submodules
   */
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
  /**
   * name of the operation, as torch calls it
   */
  name: string;
  /**
   * index of the next call when it ran
   */
  place: number;
  /**
   * the tensors that it got
   */
  inputs: TensorSpec[];
  /**
   * the tensors that it returned
   */
  outputs: TensorSpec[];
  /**
   * the output shares memory with an input
   */
  view: boolean;
  /**
   * whether it changes one of its inputs
   */
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
  /**
   * the part of this rank, where the model is spread over several
   */
  here?: Here | null;
}
/**
 * The part of one rank in a module, an operation or the whole model; only what was measured is there.
 *
 *     Of a call, with that of the calls inside it.
 */
export interface Here {
  /**
   * multiply-accumulates of this rank
   */
  macs?: number | null;
  /**
   * kernels of unknown cost, which are not in macs
   */
  macs_unknown?: string[];
  /**
   * how many numbers of the parameters this rank holds
   */
  parameters?: number | null;
  /**
   * bytes of the parameters that this rank holds
   */
  parameter_bytes?: number | null;
  /**
   * bytes of the buffers that this rank holds
   */
  buffer_bytes?: number | null;
  /**
   * peak memory of activations on this rank
   */
  peak_bytes?: number | null;
  /**
   * the messages in which this rank takes part, equal ones as one entry
   */
  traffic?: Traffic[];
}
/**
 * Equal messages between the ranks of one group.
 *
 *     >>> Traffic("all_reduce", "tp", 8, "bfloat16", 1_000_000, 2).ring_bytes
 *     3500000
 */
export interface Traffic {
  /**
   * all_reduce, all_gather, reduce_scatter, all_to_all, broadcast, send, …
   */
  kind: string;
  /**
   * the mesh dimension along which it travels; empty where its group is none of the mesh's
   */
  mesh_dim: string;
  /**
   * how many ranks take part
   */
  group_size: number;
  /**
   * dtype of the numbers, as torch calls it
   */
  dtype: string;
  /**
   * of one message: the whole tensor that is reduced, gathered, scattered or sent
   */
  bytes: number;
  /**
   * how many such messages there are
   */
  count: number;
}
/**
 * The candidates for the token that follows `position` of prompt number `input`.
 *
 *     There are none where the greatest logit is NaN or infinite, since these have no probabilities.
 */
export interface Prediction {
  /**
   * number of the prompt, from 0
   */
  input: number;
  /**
   * position of the token that the candidates follow, from 0
   */
  position: number;
  /**
   * the most likely tokens after it; none where the greatest logit is NaN or infinite
   */
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
  /**
   * 1 is the most likely token
   */
  rank: number;
  id: number;
  /**
   * what it adds within a text; null for a part of a UTF-8 character
   */
  text: string | null;
  /**
   * in hexadecimal; null where they are not known
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
 * sums over the trace
 */
export interface Totals {
  /**
   * number of calls
   */
  calls: number;
  /**
   * number of different modules that were called
   */
  modules: number;
  /**
   * time of the forward passes
   */
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
  /**
   * the part of this rank, where the model is spread over several
   */
  here?: Here | null;
}
/**
 * The exception that stopped the forward pass: in which module, with which inputs, and why.
 */
export interface Failure {
  /**
   * path of the module that raised; empty for the model itself
   */
  path: string;
  /**
   * class of the exception
   */
  type: string;
  /**
   * text of the exception
   */
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
  /**
   * the tensors that the module got
   */
  inputs: TensorSpec[];
}
/**
 * The mesh of devices that a model is spread over, seen by one rank.
 *
 *     >>> Mesh({"fsdp": 128, "tp": 8}, 9, {"fsdp": 1, "tp": 1}, True, "fake", "built in").size
 *     1024
 */
export interface Mesh {
  /**
   * size of each dimension of the mesh, the outermost first
   */
  dims: {
    [k: string]: number;
  };
  /**
   * number of the rank whose record this is
   */
  rank: number;
  /**
   * place of the rank in the mesh: its number along each dimension
   */
  coordinate: {
    [k: string]: number;
  };
  /**
   * true where one process stands for all ranks, and nothing travels
   */
  simulated: boolean;
  /**
   * what carries the messages, as torch calls it: gloo, nccl, fake, …
   */
  backend: string;
  /**
   * what spread the model: built in, transformers, FILE.py:FUNCTION; empty for its own code
   */
  plan: string;
  /**
   * the totals of every rank, where they were measured
   */
  ranks?: RankFacts[];
  /**
   * the facts in which a rank differs from rank 0
   */
  differing?: RankDifference[];
}
/**
 * The totals of one rank of a measured run.
 */
export interface RankFacts {
  /**
   * number of the rank
   */
  rank: number;
  /**
   * place of the rank in the mesh: its number along each dimension
   */
  coordinate: {
    [k: string]: number;
  };
  here: Here1;
}
/**
 * The part of one rank in a module, an operation or the whole model; only what was measured is there.
 *
 *     Of a call, with that of the calls inside it.
 */
export interface Here1 {
  /**
   * multiply-accumulates of this rank
   */
  macs?: number | null;
  /**
   * kernels of unknown cost, which are not in macs
   */
  macs_unknown?: string[];
  /**
   * how many numbers of the parameters this rank holds
   */
  parameters?: number | null;
  /**
   * bytes of the parameters that this rank holds
   */
  parameter_bytes?: number | null;
  /**
   * bytes of the buffers that this rank holds
   */
  buffer_bytes?: number | null;
  /**
   * peak memory of activations on this rank
   */
  peak_bytes?: number | null;
  /**
   * the messages in which this rank takes part, equal ones as one entry
   */
  traffic?: Traffic[];
}
/**
 * A fact in which a rank differs from rank 0, beyond the sizes of its shards.
 */
export interface RankDifference {
  /**
   * number of the rank
   */
  rank: number;
  /**
   * what differs, such as calls or traffic
   */
  what: string;
  /**
   * how it is on this rank
   */
  here: string;
  /**
   * how it is on rank 0
   */
  there: string;
  /**
   * path of the module; empty for the model itself
   */
  path?: string;
}
/**
 * the boxes of the picture and what flows between them
 */
export interface Graph {
  /**
   * the nodes in order of execution
   */
  nodes: Node[];
  /**
   * the tensors between them
   */
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
  /**
   * a call, an operation, or an end of the graph
   */
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
  /**
   * id of the box whose picture it is in; null outside of the model
   */
  box: number | null;
  /**
   * id of the node that it leaves
   */
  source: number;
  /**
   * id of the node that it enters
   */
  target: number;
  /**
   * sizes of the axes
   */
  shape: number[];
  /**
   * names of the axes; a size in digits where nothing names it
   */
  dims: string[];
  /**
   * number of the tensor: edges of one tensor have the same
   */
  tensor: number;
  /**
   * for each axis, the mesh dimensions that split it, the outermost first; empty if none is split
   */
  split_by?: string[][];
}
/**
 * What one prompt of the batch made; a view whose part is absent has a reason in `left_out`.
 */
export interface PagePrompt {
  /**
   * where the model attends, in order
   */
  attention?: AttentionMap[];
  /**
   * the residual stream, call by call
   */
  stream?: StreamPoint[];
  /**
   * how the last position becomes logits
   */
  projection?: Projection | null;
  /**
   * what each layer would predict
   */
  lens?: LensResult | null;
  /**
   * how well the prompt itself is predicted
   */
  loss?: LossResult | null;
}
/**
 * One place where the model attends. `heads` has the chosen ones, `numbers` says which these are.
 */
export interface AttentionMap {
  /**
   * path of the module that attends
   */
  path: string;
  /**
   * index of the call that it is in
   */
  call: number;
  /**
   * how many heads it has
   */
  head_count: number;
  /**
   * of the chosen heads, from 0
   */
  numbers: number[];
  /**
   * the weights of the chosen heads
   */
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
   * how many tokens a query looks at, if these are the last ones; else 0
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
  /**
   * path of the module
   */
  path: string;
  /**
   * index of the call
   */
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
  /**
   * the candidates, the most likely first
   */
  rows: Row[];
  /**
   * uint16, one for each token; a logit is low + number * step, of 65535 minus infinity
   */
  logits: string;
  /**
   * the least finite logit
   */
  low: number | null;
  /**
   * what one step of `logits` stands for
   */
  step: number | null;
}
/**
 * A candidate for the next token, with its row of the output head and the product that is its logit.
 */
export interface Row {
  id: number;
  token: Token1;
  /**
   * float32[emb_dim], the row of the output head
   */
  weights: string;
  /**
   * what the head adds to the product; 0 without a bias
   */
  bias: number | null;
  /**
   * the product of `hidden` and the row, plus the bias
   */
  logit: number | null;
}
/**
 * One token: its id, its text and its bytes, where they are known.
 */
export interface Token1 {
  id: number;
  /**
   * what it adds within a text; null for a part of a UTF-8 character
   */
  text: string | null;
  /**
   * in hexadecimal; null where they are not known
   */
  bytes: string | null;
}
/**
 * The layers of one prompt, first to last.
 */
export interface LensResult {
  /**
   * number of the prompt, from 0
   */
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
  /**
   * the tokens of the prompt
   */
  tokens: Token[];
  /**
   * why this prompt of a stream has no layers
   */
  error?: Problem | null;
  extra?: {};
  /**
   * in JSON Lines: the dtype that the model computes in, where it is not float32
   */
  dtype?: string;
}
/**
 * A layer: its candidates after the last token, and a cell for each position.
 */
export interface LensLayer {
  /**
   * path of the block
   */
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
  /**
   * what it would predict after each position
   */
  positions: LensCell[];
}
/**
 * A layer at one position: its most likely token, and what it makes of the model's prediction there.
 *
 *     A page has more candidates, so that they can be looked at.
 */
export interface LensCell {
  /**
   * position of the token, from 0
   */
  position: number;
  /**
   * the tokens that the layer would predict after it
   *
   * @minItems 1
   */
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
  /**
   * what was wrong, and with which value
   */
  message: string;
  /**
   * what to do about it
   */
  hint: string;
}
/**
 * The loss of one text. `windows` is the number of forward passes that the text took.
 */
export interface LossResult {
  /**
   * number of the prompt, from 0
   */
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
   * its tokens; nothing is predicted for the first one
   */
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
  /**
   * in JSON Lines: the dtype that the model computes in, where it is not float32
   */
  dtype?: string;
}
/**
 * A token of a text, and the probability that the model gave it; the first token has none.
 */
export interface ScoredToken {
  id: number;
  /**
   * what it adds within a text; null for a part of a UTF-8 character
   */
  text: string | null;
  /**
   * in hexadecimal; null where they are not known
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
  model: ModelInfo1;
  /**
   * language of the claims
   */
  language: string;
  /**
   * null for ids that do not decode to UTF-8
   */
  text: string | null;
  /**
   * token ids, without padding
   */
  ids: number[];
  /**
   * the topics in reading order
   */
  topics: Topic[];
  /**
   * what a reader should know
   */
  notes: string[];
  /**
   * the tokens of the prompt
   */
  tokens: Token[];
}
/**
 * the model that was measured
 */
export interface ModelInfo1 {
  /**
   * name of the preset, or of what --model named
   */
  name: string;
  /**
   * class of the module
   */
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
  /**
   * dtype of the parameters
   */
  dtype: string;
  /**
   * device of the parameters; while it runs, where they are brought in
   */
  device: string;
  /**
   * where the parameters are between calls, disk among them, if that is not `device` alone
   */
  parameters_by_device?: {
    [k: string]: DeviceShare;
  } | null;
  /**
   * matrix products that were measured to pick the dtype, for `--dtype auto`
   */
  dtype_rates?: ProductRates | null;
}
/**
 * The claims about one question.
 */
export interface Topic {
  /**
   * name of the topic, the same in every language
   */
  topic: string;
  /**
   * its title
   */
  title: string;
  /**
   * the claims in reading order
   */
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
  /**
   * the sentence
   */
  text: string;
  /**
   * the figures that were measured for it, in words
   */
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
  /**
   * its path, from the current folder if it is in there; of a cell, that of the notebook
   */
  file: string;
  /**
   * its number in the file, or in its cell
   */
  line: number;
  /**
   * the line itself
   */
  text: string;
  /**
   * name of the function that it is in
   */
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
  model: ModelInfo2;
  /**
   * language of the sentences
   */
  language: string;
  /**
   * the checks that were asked for
   */
  checks: CheckResult[];
  /**
   * what a reader should know
   */
  notes?: string[];
}
/**
 * the model that was checked
 */
export interface ModelInfo2 {
  /**
   * name of the preset, or of what --model named
   */
  name: string;
  /**
   * class of the module
   */
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
  /**
   * dtype of the parameters
   */
  dtype: string;
  /**
   * device of the parameters; while it runs, where they are brought in
   */
  device: string;
  /**
   * where the parameters are between calls, disk among them, if that is not `device` alone
   */
  parameters_by_device?: {
    [k: string]: DeviceShare;
  } | null;
  /**
   * matrix products that were measured to pick the dtype, for `--dtype auto`
   */
  dtype_rates?: ProductRates | null;
}
/**
 * The outcome of one check; of the fields below `sentence`, those that are known.
 */
export interface CheckResult {
  /**
   * name of the check, as gptrace check --list shows it
   */
  name: string;
  /**
   * null where the check does not apply or cannot be judged
   */
  holds: boolean | null;
  /**
   * what holds, or what was found instead
   */
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
  /**
   * the line that breaks it, where one was found
   */
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
  /**
   * name of the view
   */
  view: "attention" | "failure" | "lens" | "loss" | "map" | "stream" | "table" | "why";
  /**
   * why, in English
   */
  reason: string;
  /**
   * why, in Chinese
   */
  reason_zh: string;
}
