//! The `tidegate` binary.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|it| it == "-c" || it == "--config");
    let Some(config) = at.and_then(|it| args.get(it + 1)) else { return 2.into() };
    let options = tidegate::app::Options {
        config: config.into(),
        watch: !args.iter().any(|it| it == "--no-watch"),
        lame_duck: std::time::Duration::from_secs(5),
        drain: std::time::Duration::from_secs(30),
    };
    match tidegate::app::run(&options) {
        Ok(()) => 0.into(),
        Err(error) => {
            eprintln!("{error}");
            3.into()
        }
    }
}
