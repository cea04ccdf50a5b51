//! `regreen daemon`: runs the daemon.

use crate::api::Server;
use crate::cli::out;
use crate::daemon;
use crate::daemon::Audience;
use crate::daemon::Daemon;
use crate::daemon::Options;
use crate::model::EXIT_OK;
use crate::model::HostEnv;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// Runs the daemon.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Runs at the same time, over all projects [default: half the cores, at most 4]
    #[arg(long, value_name = "N")]
    parallel: Option<usize>,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let host = HostEnv::capture();
    // Before the first thread: it is forked.
    let _guard = daemon::guard(&host);
    let service = host.var("NOTIFY_SOCKET").is_some();
    let options = Options {
        parallel: args.parallel,
        service,
        scope: true,
        ..Options::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(serve(host, options))
}

async fn serve(host: HostEnv, options: Options) -> anyhow::Result<u8> {
    if let Some(wrong) = daemon::set_up(&host, Audience::Log) {
        out::tell(format!("regreen: {wrong}"));
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut daemon = Daemon::start(host, options).await?;
    let server = Server::start(daemon.handle().clone())?;
    daemon.begin();
    let loops = tokio::spawn(daemon.handle().clone().finish_ended_loops());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = daemon.ended() => {}
    }
    // What is left over of a loop that had ended can wait for the next start.
    loops.abort();
    server.stop().await;
    daemon.stop().await;
    Ok(EXIT_OK)
}
