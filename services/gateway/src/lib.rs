//! Gives records back over gRPC: topics, fields with units, ranges as columns
