//! Edges of Gemini.
