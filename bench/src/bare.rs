//! The handler that does nothing: what the web server and the network alone can do.

use std::path::Path;
use std::process::Stdio;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The bytes it answers with: as many as a document of the data set has.
const BYTES: usize = 3_400;

/// Serves until the process is killed, and says on standard output where.
///
/// # Errors
/// When no port is free.
pub fn serve() -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let body: web::Bytes = vec![b'x'; BYTES].into();
        let server = HttpServer::new(move || {
            let body = body.clone();
            App::new().default_service(web::to(move || {
                let body = body.clone();
                async move {
                    let mut answer = HttpResponse::Ok();
                    answer
                        .insert_header((CACHE_CONTROL, "no-cache"))
                        .insert_header((CONTENT_TYPE, "application/json; charset=utf-8"));
                    answer.body(body)
                }
            }))
        })
        .bind("127.0.0.1:0")?;
        for address in server.addrs() {
            println!("{address}");
        }
        server.run().await.context("the bare handler fell")
    })
}

/// A process that serves the bare handler. Dropped, it is killed.
pub struct Bare {
    _child: Child,
    /// `127.0.0.1:port`
    pub address: String,
}

impl Bare {
    /// Starts this program again, as the handler.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(Path::new(&program));
        let mut child = command.arg("bare").stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let address = lines.next_line().await?.context("the bare handler does not start")?;
        Ok(Self { _child: child, address })
    }
}
