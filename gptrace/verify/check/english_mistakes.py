"""The likely mistakes in English, and what to write instead, by the key of a blame."""

from __future__ import annotations

from gptrace.verify.check.english_attention_mistakes import ATTENTION

LIKELY = {
    "unknown": (
        "",
        "",
    ),
    **ATTENTION,
    "dropout-on": (
        "dropout is on in evaluation mode",
        (
            "pass training=self.training to F.dropout, or use nn.Dropout; dropout_p=0.0 in fused "
            "attention unless self.training"
        ),
    ),
    "eval-not-reached": (
        (
            "dropout is on in evaluation mode: eval() does not reach the modules in {name}, a plain list, "
            "tuple or dict, which torch does not see"
        ),
        (
            "self.{attribute} = nn.ModuleList([…]), or nn.ModuleDict({{…}}): eval() and the optimizer reach "
            "the modules in these"
        ),
    ),
    "random": (
        "it draws random numbers in evaluation mode",
        "draw them only if self.training",
    ),
    "state": (
        "it reads state that the last call left",
        "keep what a call computes in local variables, or reset it at the start",
    ),
    "written": (
        "it writes in place into something that belongs to the caller or the model",
        "use the function without the underscore at its end, or clone first",
    ),
    "cache-positions": (
        "positions start at 0 again in each step, in place of after the cached tokens",
        "torch.arange(start, start + T), where start is the number of cached tokens",
    ),
    "cache-other": (
        "with the cache, this gives something else than without",
        (
            "append new keys and values after the cached ones on the axis of tokens, after they are "
            "rotated, and mask by absolute positions"
        ),
    ),
    "vocabulary-head": (
        "the output layer has another size than the vocabulary",
        "nn.Linear(emb_dim, vocab_size)",
    ),
    "vocabulary-table": (
        ("the table of tokens has another number of rows than there are scores, or ids are changed before"),
        "nn.Embedding(vocab_size, emb_dim), and the ids as they come",
    ),
    "positions-clamped": (
        "positions beyond the table are clamped to its last row",
        "refuse longer prompts, or cut them to the last context_length tokens before the forward pass",
    ),
    "positions-wrapped": (
        "positions beyond the table begin again",
        "refuse longer prompts, or cut them to the last context_length tokens before the forward pass",
    ),
    "cut": (
        "a prompt that is too long loses its last tokens",
        "ids[:, -context_length:] keeps the last ones; better refuse the prompt",
    ),
    "refuses-context": (
        "the model refuses a prompt of the length that its configuration names",
        "size tables and masks by context_length",
    ),
    "softmax-inside": (
        "forward ends in a softmax, and the loss applies another",
        "return the scores; use softmax where probabilities are needed",
    ),
    "scale": (
        "the scores start out too large",
        "initialise the output layer with a small standard deviation, such as 0.02",
    ),
    "tied-scale": (
        (
            "the output layer shares the weights of the embedding, whose standard deviation of 1 is "
            "too large for it"
        ),
        "nn.init.normal_({name}, std=0.02)",
    ),
    "shifted-twice": (
        "labels are shifted here, though the caller has shifted them, or they are shifted twice",
        "shift in one place: here, or in the data",
    ),
    "not-shifted": (
        "labels are the ids that went in, and nothing shifts them",
        "cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())",
    ),
    "shifted-back": (
        "the shift goes the wrong way",
        "cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())",
    ),
    "other-shift": (
        "logits and labels are shifted against each other by another number than 1",
        "cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())",
    ),
    "other-loss": (
        "the loss is computed in another way, or from something else",
        "cross_entropy(logits.flatten(0, 1), targets.flatten())",
    ),
    "loss-multiple": (
        "the losses of the tokens are added up or scaled, so the loss is no mean",
        "cross_entropy(logits.flatten(0, 1), targets.flatten()), which is the mean over the tokens",
    ),
    "loss-without-zero": (
        "ignore_index or a mask leaves out the token with id 0",
        "ignore_index=-100, and -100 as the label of padding; padding_idx=0 in the table, if 0 is padding",
    ),
    "detached": (
        "{operation} runs outside the graph, so no gradient passes it",
        "leave out detach(), .data and torch.no_grad() on the way to the logits",
    ),
    "custom-backward": (
        "the backward of this function is not the derivative of its forward",
        "compare it with torch.autograd.gradcheck",
    ),
    "parameter-unread": (
        "{name} is made and never used",
        "use it in forward, or drop it",
    ),
    "nan-gradient": (
        "the gradient is NaN or infinite, as that of a square root at 0",
        "add a small eps inside the root or the logarithm",
    ),
    "nan-weights": (
        "{name} holds NaN or infinite numbers",
        "check how it is initialised or loaded",
    ),
    "makes-nan": (
        "{operation} makes NaN of finite numbers",
        "keep its input in range: clamp it, or add a small eps",
    ),
    "makes-inf": (
        "{operation} makes infinite numbers of finite ones",
        "keep its input in range: clamp it, or add a small eps",
    ),
    "takes-nan": (
        "{operation} takes NaN, and what made it was not recorded",
        "look at what comes in here: it was made outside of torch's operations, as by NumPy",
    ),
    "takes-inf": (
        "{operation} takes infinite numbers, and what made them was not recorded",
        "look at what comes in here: it was made outside of torch's operations, as by NumPy",
    ),
    "hides-all": (
        "the mask hides every key from a query, and a softmax over nothing is NaN",
        "let each query see its own key: hide with triu(diagonal=1)",
    ),
    "unregistered": (
        "a plain list, tuple or dict holds modules, so torch does not see them",
        "nn.ModuleList([…]), nn.ModuleDict({{…}}), nn.ParameterList([…])",
    ),
    "never-called": (
        "the module is built and never called",
        "call it in forward, or drop it",
    ),
    "padding-positions": (
        "positions count the padding",
        "position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)",
    ),
    "to-python": (
        "a number of Python has no gradient, so none reaches {name}",
        "use the tensor itself, without .item() or .tolist()",
    ),
    "no-path": ("what {name} makes takes no part in the logits", "use its result on the way to the logits"),
    "no-grad-forward": (
        "the whole forward pass runs under torch.no_grad()",
        "put torch.no_grad() around the calls that do not train, not into the model",
    ),
    "overwritten": (
        "it writes in place into a tensor that the backward pass still needs",
        "use the operation that returns a new tensor, such as x = x + y in place of x += y",
    ),
    "gradient-stops": (
        "the gradient of {operation} is 0 or not finite here",
        "replace it by an operation with a gradient, or keep its input away from where it has none",
    ),
    "item-not-called": (
        "the modules of a list take turns here, and not all of them do",
        "call each of {name} in turn: for block in {name}: x = block(x)",
    ),
    "positions-repeat": (
        "different positions become the same here",
        "use each position as it is, from 0 to T - 1",
    ),
    "positions-late": (
        "positions enter only after the blocks",
        "add them to the embeddings before the first block",
    ),
    "positions-dropped": (
        "the result with the positions in it is not used",
        "assign what the function returns",
    ),
    "keys-without-positions": (
        "only queries hold positions, so all keys look the same",
        "rotate or shift the keys as well",
    ),
    "cache-not-reset": (
        "what was cached before is still there after it is emptied",
        "set every cache and every counter of positions back to its start",
    ),
    "cache-not-passed": (
        "the cache is not passed on in this call",
        "pass the cache, or use_cache, to every block",
    ),
    "cache-kept": (
        "other keys or values are kept here than later steps need",
        "keep all keys and values, those of earlier tokens first",
    ),
    "stuck": (
        "{name} and what it is multiplied with both start at 0, so neither ever gets a gradient",
        "start one of the two with random numbers",
    ),
    "bounded-scores": (
        "{operation} holds the scores in so narrow a range that no token can get a probability near 1",
        "return the scores of the output head as they are",
    ),
    "not-trained": (
        "{name} does not change in training",
        "let the loss depend on it, and leave requires_grad as it is",
    ),
    "loses-precision": (
        "{operation} keeps too few digits of what it is given in bfloat16",
        "keep ids and positions in int64, and compute this step in float32",
    ),
    "other-device": (
        "a tensor of this line is on another device than the weights",
        "make new tensors with device=x.device; register_buffer lets constant ones move with the model",
    ),
}
