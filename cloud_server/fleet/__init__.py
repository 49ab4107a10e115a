"""What the server keeps of its devices: answered frames, frames for training, counts."""
