//! The gateway service; what it does stands in the library.

fn main() -> std::process::ExitCode {
    efd_service::main(
        "efd-gateway",
        "Gives recorded topics back over gRPC, as columns with units",
        efd_gateway::run,
    )
}
