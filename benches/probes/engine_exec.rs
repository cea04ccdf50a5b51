//! For `benches/figures/engine.py`: for each line on standard input, runs `true` by the engine
//! backend and says how long that took, from the wish to the told end. `engine-exec DIR`; the
//! engine is the one of `DOCKER_HOST`.

use regreen::model::HostEnv;
use regreen::model::Limits;
use regreen::sandbox::Backend;
use regreen::sandbox::Network;
use regreen::sandbox::Place;
use regreen::sandbox::Priority;
use regreen::sandbox::Spec;
use regreen::sandbox::engine::Engine;
use std::io::BufRead;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let dir = std::env::args_os().nth(1).ok_or("a directory is needed")?;
    let dir = PathBuf::from(dir);
    let host = HostEnv {
        vars: std::env::vars_os().collect(),
        ..HostEnv::below(&dir, "/usr/bin:/bin")
    };
    let spec = spec(&dir, &host)?;
    let engine = Engine::new(&host);
    let runtime = tokio::runtime::Runtime::new()?;
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        runtime.block_on(run(&engine, spec.clone()))?;
        writeln!(std::io::stdout(), "{}", start.elapsed().as_nanos())?;
    }
    Ok(())
}

async fn run(engine: &Engine, spec: Spec) -> Result<(), Failed> {
    let mut running = engine.start(spec).await?;
    while running.output.recv().await.is_some() {}
    let ended = running.exit.await?;
    match ended.exit.success() {
        true => Ok(()),
        false => Err(format!("{ended:?}").into()),
    }
}

fn spec(dir: &Path, host: &HostEnv) -> Result<Spec, Failed> {
    let slot = dir.join("slot");
    for name in ["tree", "home", "tmp"] {
        std::fs::create_dir_all(slot.join(name))?;
    }
    let root = host.home.join("project");
    Ok(Spec {
        argv: vec!["true".into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: root.clone(),
        place: Place {
            root,
            tree: slot.join("tree"),
            home: slot.join("home"),
            tmp: slot.join("tmp"),
        },
        mounts: Vec::new(),
        stdin: None,
        limits: Limits::default(),
        network: Network::None,
        image: None,
        priority: Priority::Normal,
    })
}
