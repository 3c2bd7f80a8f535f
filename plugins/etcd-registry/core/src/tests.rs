//! Against a script
