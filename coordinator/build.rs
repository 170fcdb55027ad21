//! Turns the definition of the coordinator's service into code.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tonic_prost_build::configure()
        .bytes(".")
        .compile_protos(&["proto/coordinator.proto"], &["proto"])?;
    Ok(())
}
