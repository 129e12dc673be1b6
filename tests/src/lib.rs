//! Integration tests on real servers, and their harness
