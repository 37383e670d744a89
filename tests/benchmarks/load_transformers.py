"""What loading a Hugging Face folder is measured against: transformers does it, and prints five tokens."""

import sys
import warnings

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from transformers import GPT2LMHeadModel  # noqa: E402

model = GPT2LMHeadModel.from_pretrained(sys.argv[1])
model.train(False)
with torch.no_grad():
    logits = model(torch.tensor([[15496]])).logits
top = torch.softmax(logits[0, -1], dim=-1).topk(5)
print(top.indices.tolist(), top.values.tolist())
