"""Operations of the SDK API, one module for each section of the document."""
