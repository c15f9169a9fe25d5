//! Integration tests of the kinds of `ark.mckinsey.com`.

mod samples;
mod schemas;
