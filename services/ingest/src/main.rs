//! Runs the ingest service; what it does stands in the library.

fn main() -> std::process::ExitCode {
    efd_service::main(
        "efd-ingest",
        "Takes SAL samples from its sources and produces them to Kafka",
        efd_ingest::run,
    )
}
