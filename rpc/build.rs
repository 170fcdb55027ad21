//! Turns the protocol's definition into code.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tonic_prost_build::compile_protos("proto/hello.proto")?;
    Ok(())
}
