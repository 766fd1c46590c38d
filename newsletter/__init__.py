"""Weekly AI Tool Verdicts: the pipeline from finished comparisons to readers and back."""

__version__ = "0.1.0"
