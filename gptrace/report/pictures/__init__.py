"""Pictures of a trace: Mermaid, DOT and SVG. `scene.py` says what is in them, the others write it down."""
