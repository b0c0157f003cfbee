//! The child under test: the real binary, its file, its metrics.

use std::fs::{self, File};
use std::io::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;
use crate::scenario::HEAD_TIMEOUT;

/// How long it may take from its start until it is ready.
const START_PATIENCE: Duration = Duration::from_secs(15);

/// `tidegate run`, ended when this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    backends: [SocketAddr; 2],
    folder: TempDir,
    child: Child,
}

impl Server {
    pub(crate) async fn start(tidegate: &Path, backends: [SocketAddr; 2]) -> std::io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("tidegate-rollback-").tempdir()?;
        let (address, admin) = (free_address()?, free_address()?);
        let config = folder.path().join("tidegate.yaml");
        fs::write(&config, configuration("v1", address, admin, backends, folder.path()))?;
        let log = File::create(folder.path().join("log"))?;
        let child = Command::new(tidegate)
            .args(["run", "-c"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Error::other(format!("failed to start {}: {error}", tidegate.display())))?;
        let mut server = Self { address, admin, backends, folder, child };
        server.wait_until_ready().await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> std::io::Result<()> {
        let started = Instant::now();
        while started.elapsed() < START_PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Err(Error::other(format!("tidegate ended with {status}:\n{}", self.log())));
            }
            if let Ok(mut client) = Client::connect(self.admin, Ipv4Addr::LOCALHOST).await
                && client.get("/readyz").await.is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(Error::other(format!("tidegate is not ready after {START_PATIENCE:?}:\n{}", self.log())))
    }

    /// Makes `v2` the wanted version as an editor would: a new file put in place of the old one.
    pub(crate) fn release_v2(&self) -> std::io::Result<()> {
        let folder = self.folder.path();
        let text = configuration("v2", self.address, self.admin, self.backends, folder);
        fs::write(folder.join("tidegate.yaml.new"), text)?;
        fs::rename(folder.join("tidegate.yaml.new"), folder.join("tidegate.yaml"))
    }

    pub(crate) fn metrics(&self) -> Metrics {
        Metrics { admin: self.admin, client: None }
    }

    /// The last things that the child said.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let from = text.lines().count().saturating_sub(20);
        text.lines().skip(from).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At once: nothing of it is needed any more, and a drain would take its time.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn configuration(
    live: &str,
    address: SocketAddr,
    admin: SocketAddr,
    [v1, v2]: [SocketAddr; 2],
    folder: &Path,
) -> String {
    let (port, folder) = (address.port(), PathBuf::from(folder));
    format!(
        "listen: {{main: {{port: {port}, bind: 127.0.0.1}}}}\n\
         admin: {{listen: {admin}, socket: {folder}/admin.sock}}\n\
         state: {folder}/state\n\
         services:\n  \
           shop:\n    \
             live: {live}\n    \
             versions:\n      \
               v1: http://{v1}\n      \
               v2: http://{v2}\n    \
             timeouts: {{head: {head}ms}}\n    \
             rollout:\n      \
               steps: [10% for 1h]\n",
        folder = folder.display(),
        head = HEAD_TIMEOUT.as_millis(),
    )
}

/// Reads the canary's weight, over one connection.
pub(crate) struct Metrics {
    admin: SocketAddr,
    client: Option<Client>,
}

impl Metrics {
    /// The weight of `v2` as published now.
    pub(crate) async fn canary_weight(&mut self) -> std::io::Result<Option<f64>> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(self.admin, Ipv4Addr::LOCALHOST).await?,
        };
        let answer = client.get("/metrics").await?;
        self.client = Some(client);
        let text = String::from_utf8_lossy(&answer.body);
        Ok(text
            .lines()
            .find(|line| {
                line.starts_with("tidegate_traffic_weight_ratio{") && line.contains("version=\"v2\"")
            })
            .and_then(|line| line.rsplit(' ').next()?.parse().ok()))
    }
}
