"""Mistakes about caches: token by token gives other logits than all at once."""

from __future__ import annotations

from tests.models.experiments.limits import cache_changes_answers
from tests.models.mistakes.mistake import Mistake, edit


def _mistake(
    name: str, base: str, edits: tuple[tuple[str, str], ...], guilty: tuple[str, ...], belief: str, *also: str
) -> Mistake:
    return Mistake(name, base, edits, "cache", guilty, belief, cache_changes_answers, also)


MISTAKES = (
    _mistake(
        "positions_restart_with_each_call",
        "gpt_with_kv_cache",
        edit(
            "pos_ids = torch.arange(self.current_pos, self.current_pos + seq_len, device=in_idx.device)",
            "pos_ids = torch.arange(seq_len, device=in_idx.device)",
        ),
        ("pos_ids = torch.arange(seq_len, device",),
        "A call with a cache numbers its tokens as any call.",
    ),
    _mistake(
        "position_moves_by_one_for_each_call",
        "gpt_with_kv_cache",
        edit("self.current_pos += seq_len", "self.current_pos += 1"),
        ("self.current_pos += 1", "pos_ids = torch.arange(self.current_pos"),
        "Each call brings one new token; the first one brings the prompt.",
    ),
    _mistake(
        "cached_position_is_one_too_far",
        "gpt_with_kv_cache",
        edit(
            "torch.arange(self.current_pos, self.current_pos + seq_len, device=in_idx.device)",
            "torch.arange(self.current_pos + 1, self.current_pos + seq_len + 1, device=in_idx.device)",
        ),
        ("pos_ids = torch.arange(self.current_pos + 1",),
        "The new token comes after the current position.",
    ),
    _mistake(
        "position_is_not_reset",
        "gpt_with_kv_cache",
        edit(
            "            blk.att.reset_cache()\n        self.current_pos = 0\n",
            "            blk.att.reset_cache()\n",
        ),
        ("def reset_kv_cache(self):", "blk.att.reset_cache()", "pos_ids = torch.arange(self.current_pos"),
        "The cache is the keys and the values.",
    ),
    _mistake(
        "keys_of_the_last_text_are_kept",
        "gpt_with_kv_cache",
        edit(
            "        for blk in self.trf_blocks:\n"
            "            blk.att.reset_cache()\n        self.current_pos = 0\n",
            "        self.current_pos = 0\n",
        ),
        ("def reset_kv_cache(self):", "self.cache_k = torch.cat([self.cache_k, keys_new], dim=1)"),
        "A new text starts at position 0, and that resets the cache.",
    ),
    _mistake(
        "new_keys_are_put_in_front",
        "gpt_with_kv_cache",
        edit(
            "self.cache_k = torch.cat([self.cache_k, keys_new], dim=1)",
            "self.cache_k = torch.cat([keys_new, self.cache_k], dim=1)",
            "self.cache_v = torch.cat([self.cache_v, values_new], dim=1)",
            "self.cache_v = torch.cat([values_new, self.cache_v], dim=1)",
        ),
        ("self.cache_k = torch.cat([keys_new", "self.cache_v = torch.cat([values_new"),
        "Attention is a sum, so the order of keys does not matter; it does to the mask.",
    ),
    _mistake(
        "keys_are_cached_as_values",
        "gpt_with_kv_cache",
        edit("torch.cat([self.cache_v, values_new], dim=1)", "torch.cat([self.cache_v, keys_new], dim=1)"),
        ("self.cache_v = torch.cat([self.cache_v, keys_new]",),
        "A line that was copied is changed everywhere.",
    ),
    _mistake(
        "mask_starts_at_the_first_key",
        "gpt_with_kv_cache",
        edit(".triu(diagonal=first + 1)", ".triu(diagonal=1)"),
        ("mask = torch.ones(num_tokens, num_keys", "attn_scores = attn_scores.masked_fill("),
        "The diagonal of a causal mask is 1; the first query of a call is not the first token.",
    ),
    _mistake(
        "no_mask_with_a_cache",
        "gpt_with_kv_cache",
        edit(
            "        attn_scores = attn_scores.masked_fill(mask, -torch.inf)\n",
            "        if not use_cache:\n"
            "            attn_scores = attn_scores.masked_fill(mask, -torch.inf)\n",
        ),
        (
            "if not use_cache:\n            attn_scores",
            "attn_scores = attn_scores.masked_fill(mask",
            "attn_weights = torch.softmax(",
        ),
        "With a cache there is one query, which may see all keys; the prompt goes in at once.",
        "causal",
    ),
    _mistake(
        "cache_does_not_reach_the_blocks",
        "gpt_with_kv_cache",
        edit("            x = blk(x, use_cache=use_cache)\n", "            x = blk(x)\n"),
        ("            x = blk(x)\n",),
        "An option of the model is known to its blocks.",
    ),
    _mistake(
        "new_keys_are_rotated_from_zero",
        "cache_object",
        edit(
            "keys_new = apply_rope(keys_new, cos, sin, offset=start_pos)",
            "keys_new = apply_rope(keys_new, cos, sin)",
        ),
        ("keys_new = apply_rope(keys_new, cos, sin)",),
        "The offset belongs to the queries.",
    ),
    _mistake(
        "cached_keys_are_rotated_again",
        "cache_object",
        edit(
            "        keys_new = apply_rope(keys_new, cos, sin, offset=start_pos)\n",
            "",
            "            keys, values = keys_new, values_new\n        next_cache",
            "            keys, values = keys_new, values_new\n"
            "        keys = apply_rope(keys, cos, sin)\n        next_cache",
        ),
        ("keys = apply_rope(keys, cos, sin)", "next_cache = (keys, values)"),
        "All keys are rotated together, after they were put together; the cached ones were already.",
    ),
    _mistake(
        "every_layer_gets_the_first_cache",
        "hugging_face_style",
        edit(
            "layer_past = past_key_values[i] if past_key_values is not None else None",
            "layer_past = past_key_values[0] if past_key_values is not None else None",
        ),
        ("layer_past = past_key_values[0]",),
        "past_key_values[0] holds the keys, and [1] the values.",
    ),
    _mistake(
        "only_the_newest_keys_are_returned",
        "hugging_face_style",
        edit(
            "        if layer_past is not None:\n            past_key",
            "        present = (key, value)\n        if layer_past is not None:\n            past_key",
            "            value = torch.cat((past_value, value), dim=-2)\n        present = (key, value)\n",
            "            value = torch.cat((past_value, value), dim=-2)\n",
        ),
        ("present = (key, value)",),
        "The caller appends them.",
    ),
    _mistake(
        "empty_slots_are_seen",
        "static_cache",
        edit(
            "        mask = input_pos[:, None] >= torch.arange(keys, device=idx.device)[None, :]\n",
            "        mask = input_pos[:, None] >= torch.arange(keys, device=idx.device)[None, :]\n"
            "        mask = mask if cached is None else torch.ones_like(mask)\n",
        ),
        ("mask = mask if cached is None", "y = F.scaled_dot_product_attention("),
        "Keys that are zero get no attention; their score is 0, and its exponential 1.",
    ),
    _mistake(
        "slots_are_filled_from_the_start",
        "static_cache",
        edit(
            "        self.k_cache[:, :, input_pos] = k_val\n",
            "        self.k_cache[:, :, : len(input_pos)] = k_val\n",
        ),
        ("self.k_cache[:, :, : len(input_pos)] = k_val",),
        "The slice has the right size.",
    ),
    _mistake(
        "rolling_cache_keeps_too_few_keys",
        "rolling_cache",
        edit(
            "self.cached_keys = k[:, :, -self.window :]",
            "self.cached_keys = k[:, :, -self.window + 2 :]",
            "self.cached_values = v[:, :, -self.window :]",
            "self.cached_values = v[:, :, -self.window + 2 :]",
            "self.cached_positions = key_positions[-self.window :]",
            "self.cached_positions = key_positions[-self.window + 2 :]",
        ),
        (
            "self.cached_keys = k[:, :, -self.window + 2 :]",
            "self.cached_values = v[:",
            "self.cached_positions = key",
        ),
        "The new token takes a place in the window, and the current one another.",
    ),
    _mistake(
        "position_is_the_number_of_cached_keys",
        "rolling_cache",
        edit(
            "        start = self.seen if use_cache else 0\n",
            "        cached = self.layers[0].attention.cached_keys if use_cache else None\n"
            "        start = 0 if cached is None else cached.shape[2]\n",
        ),
        ("start = 0 if cached is None else cached.shape[2]", "positions = torch.arange(start, start"),
        "The cache holds all tokens so far; once the window slides, it does not.",
    ),
    _mistake(
        "cache_keeps_the_oldest_keys",
        "rolling_cache",
        edit(
            "self.cached_keys = k[:, :, -self.window :]",
            "self.cached_keys = k[:, :, : self.window]",
            "self.cached_values = v[:, :, -self.window :]",
            "self.cached_values = v[:, :, : self.window]",
            "self.cached_positions = key_positions[-self.window :]",
            "self.cached_positions = key_positions[: self.window]",
        ),
        (
            "self.cached_keys = k[:, :, : self.window]",
            "self.cached_values = v[:",
            "self.cached_positions = key",
        ),
        "[: n] keeps n of them.",
    ),
)
