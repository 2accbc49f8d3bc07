//! The program `villas-shm`.

fn main() -> std::process::ExitCode {
    villas_shm_tool::main()
}
