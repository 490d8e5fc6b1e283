//! What a person writes, made into the settings of the parts.
