//! gRPC contracts of the services
