//! The time of a point.

pub use efd_schema::point_time::{TimeError, nanos, nanos_of_integer};
