"""What `gptrace run "Hello"` is measured against: the course's model, one forward pass, five tokens printed.

It does not even tokenize: 15496 is "Hello".
"""

import warnings

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")

import torch  # noqa: E402
from llms_from_scratch.ch04 import GPTModel  # noqa: E402

CONFIG = {
    "vocab_size": 50257, "context_length": 1024, "emb_dim": 768, "n_heads": 12, "n_layers": 12,
    "drop_rate": 0.1, "qkv_bias": False,
}  # fmt: skip

torch.manual_seed(123)
model = GPTModel(CONFIG)
model.eval()
with torch.no_grad():
    logits = model(torch.tensor([[15496]]))
top = torch.softmax(logits[0, -1], dim=-1).topk(5)
print(top.indices.tolist(), top.values.tolist())
