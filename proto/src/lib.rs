//! gRPC contracts of the services: messages, clients and servers, generated at build from the `.proto` files beside this
//! crate, which say what each call, field and status means.

/// Sending samples to be recorded; served by ingest.
pub mod ingest {
    /// First version.
    #[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated from ingest.proto")]
    pub mod v1 {
        tonic::include_proto!("efd.ingest.v1");

        /// The contract as an encoded `FileDescriptorSet`, comments included, for gRPC reflection.
        pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("efd.ingest.v1");
    }
}

/// Reading what was recorded; served by the gateway.
pub mod query {
    /// First version.
    #[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated from query.proto")]
    pub mod v1 {
        tonic::include_proto!("efd.query.v1");

        /// The contract as an encoded `FileDescriptorSet`, comments included, for gRPC reflection.
        pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("efd.query.v1");
    }
}

/// Schemas; served by the registry, and used between its replicas.
pub mod registry {
    /// First version.
    #[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated from the contracts")]
    pub mod v1 {
        tonic::include_proto!("efd.registry.v1");

        /// The contracts as an encoded `FileDescriptorSet`, comments included, for gRPC reflection.
        pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("efd.registry.v1");
    }
}

/// What a sink worker owns, how it fares, what is missing, and repairs; served by the sink.
pub mod sink {
    /// First version.
    #[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated from sink.proto")]
    pub mod v1 {
        tonic::include_proto!("efd.sink.v1");

        /// The contract as an encoded `FileDescriptorSet`, comments included, for gRPC reflection.
        pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("efd.sink.v1");
    }
}
