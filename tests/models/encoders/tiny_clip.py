"""Small randomly initialised CLIP models, and their weights in the layouts of publishers."""

import copy
import json

import open_clip
import torch
from safetensors.torch import save_file

TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}


def write_config(folder, name="ViT-tiny-test", quick_gelu=False, **vision):
    """Write a model config for open_clip and return its path."""
    path = folder / f"{name}.json"
    config = {**TINY, "quick_gelu": quick_gelu, "vision_cfg": {**TINY["vision_cfg"], **vision}}
    path.write_text(json.dumps(config))
    return path


def model_of(config, seed=1):
    """Build a config's model with random weights."""
    open_clip.add_model_config(config)
    torch.manual_seed(seed)
    return open_clip.create_model(config.stem).eval()


def halved(state):
    return {name: value.half() for name, value in state.items()}


def safetensors(model, folder):
    save_file(halved(model.state_dict()), folder / "tiny.safetensors")
    return folder / "tiny.safetensors"


def bare(model, folder):
    torch.save(model.state_dict(), folder / "tiny.bin")
    return folder / "tiny.bin"


def of_a_training(model, folder):
    """What open_clip's training writes, by several processes."""
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save(
        {"epoch": 3, "name": "run", "state_dict": state, "optimizer": {"state": {}}}, folder / "tiny.pt"
    )
    return folder / "tiny.pt"


def tower_alone(model, folder):
    torch.save({"model": model.visual.state_dict()}, folder / "visual.pth")
    return folder / "visual.pth"


def torchscript(model, folder):
    """What OpenAI published: a traced model in half precision, with three numbers as buffers."""
    model = copy.deepcopy(model)
    for name, value in (("input_resolution", 32), ("context_length", 8), ("vocab_size", 64)):
        model.__dict__.pop(name, None)
        model.register_buffer(name, torch.tensor(value))
    example = torch.zeros(1, 3, 32, 32), torch.zeros(1, 8, dtype=torch.long)
    torch.jit.trace(model, example, check_trace=False).half().save(folder / "traced.pt")
    return folder / "traced.pt"


def transformers_names(model):
    """The state dict that transformers' CLIPModel would have."""
    theirs = {"logit_scale": model.logit_scale}
    state = model.state_dict()
    for tower, prefix in (("vision_model", "visual."), ("text_model", "")):
        blocks = f"{prefix}transformer.resblocks."
        for layer in {name.split(".")[blocks.count(".")] for name in state if name.startswith(blocks)}:
            ours, layers = f"{blocks}{layer}.", f"{tower}.encoder.layers.{layer}."
            for kind in ("weight", "bias"):
                for part, value in zip("qkv", state[f"{ours}attn.in_proj_{kind}"].chunk(3), strict=True):
                    theirs[f"{layers}self_attn.{part}_proj.{kind}"] = value
                theirs[f"{layers}self_attn.out_proj.{kind}"] = state[f"{ours}attn.out_proj.{kind}"]
                theirs[f"{layers}layer_norm1.{kind}"] = state[f"{ours}ln_1.{kind}"]
                theirs[f"{layers}layer_norm2.{kind}"] = state[f"{ours}ln_2.{kind}"]
                theirs[f"{layers}mlp.fc1.{kind}"] = state[f"{ours}mlp.c_fc.{kind}"]
                theirs[f"{layers}mlp.fc2.{kind}"] = state[f"{ours}mlp.c_proj.{kind}"]
        embeddings = f"{tower}.embeddings."
        theirs[f"{embeddings}position_ids"] = torch.arange(8)[None]
        theirs[f"{embeddings}position_embedding.weight"] = state[f"{prefix}positional_embedding"]
    theirs["vision_model.embeddings.class_embedding"] = state["visual.class_embedding"]
    theirs["vision_model.embeddings.patch_embedding.weight"] = state["visual.conv1.weight"]
    theirs["text_model.embeddings.token_embedding.weight"] = state["token_embedding.weight"]
    for kind in ("weight", "bias"):
        theirs[f"vision_model.pre_layrnorm.{kind}"] = state[f"visual.ln_pre.{kind}"]
        theirs[f"vision_model.post_layernorm.{kind}"] = state[f"visual.ln_post.{kind}"]
        theirs[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
    theirs["visual_projection.weight"] = state["visual.proj"].T
    theirs["text_projection.weight"] = state["text_projection"].T
    return {name: value.detach().contiguous() for name, value in theirs.items()}


def hugging_face(model, folder):
    save_file(transformers_names(model), folder / "model.safetensors")
    return folder / "model.safetensors"


def sharded(model, folder):
    """A clone of a repository whose weights lie in two files."""
    state = transformers_names(model)
    names = sorted(state)
    files = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in files.items():
        save_file({name: state[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in files.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


LAYOUTS = (safetensors, bare, of_a_training, tower_alone, torchscript, hugging_face, sharded)
