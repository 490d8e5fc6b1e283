#!/usr/bin/env python3
"""tiny_gguf.py OUT: writes a llama model of half a megabyte with random weights.

What it says is noise, but a real server loads it in a second, applies its chat template, counts its tokens
and streams its noise: enough to see a gateway in front of a real server. Needs the packages gguf and numpy.
"""

import sys

import gguf
import numpy as np

EMBEDDING, HEADS, BLOCKS, FEED_FORWARD, CONTEXT = 64, 4, 2, 128, 2048
WORDS = ["▁", "▁the", "▁a", "▁to", "▁of", "▁hello", *"etaoinsrhld."]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def vocabulary():
    """Tokens, scores and types: three control tokens, every byte, so that any text encodes, and a few words."""
    kinds = gguf.TokenType
    entries = [(b"<unk>", 0.0, kinds.UNKNOWN), (b"<s>", 0.0, kinds.CONTROL), (b"</s>", 0.0, kinds.CONTROL)]
    entries += [(b"<0x%02X>" % byte, 0.0, kinds.BYTE) for byte in range(256)]
    entries += [(word.encode(), -float(rank), kinds.NORMAL) for rank, word in enumerate(WORDS, 260)]
    return map(list, zip(*entries))


def write(path):
    tokens, scores, types = vocabulary()
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("tiny-random")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(EMBEDDING)
    out.add_block_count(BLOCKS)
    out.add_feed_forward_length(FEED_FORWARD)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(EMBEDDING // HEADS)
    out.add_vocab_size(len(tokens))
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    out.add_tokenizer_model("llama")
    out.add_token_list(tokens)
    out.add_token_scores(scores)
    out.add_token_types(types)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_chat_template(TEMPLATE)

    # Seeded: the same file every time, so that a failure repeats.
    random = np.random.default_rng(7)

    def noise(*shape):
        return (random.standard_normal(shape) * 0.08).astype(np.float32)

    ones = np.ones(EMBEDDING, np.float32)
    out.add_tensor("token_embd.weight", noise(len(tokens), EMBEDDING))
    out.add_tensor("output_norm.weight", ones)
    out.add_tensor("output.weight", noise(len(tokens), EMBEDDING))
    for block in range(BLOCKS):
        name = f"blk.{block}."
        out.add_tensor(name + "attn_norm.weight", ones)
        out.add_tensor(name + "ffn_norm.weight", ones)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out.add_tensor(name + part + ".weight", noise(EMBEDDING, EMBEDDING))
        out.add_tensor(name + "ffn_gate.weight", noise(FEED_FORWARD, EMBEDDING))
        out.add_tensor(name + "ffn_up.weight", noise(FEED_FORWARD, EMBEDDING))
        out.add_tensor(name + "ffn_down.weight", noise(EMBEDDING, FEED_FORWARD))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(sys.argv[1])
