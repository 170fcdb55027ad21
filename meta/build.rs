//! Turns the definition of the controller's service into code.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tonic_prost_build::configure()
        .bytes(".")
        .compile_protos(&["proto/controller.proto"], &["proto"])?;
    Ok(())
}
