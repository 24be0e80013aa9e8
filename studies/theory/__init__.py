"""The statements of the source documents, claim by claim."""
