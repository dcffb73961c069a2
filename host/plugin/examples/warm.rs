use std::{path::PathBuf, sync::Arc, collections::BTreeMap};
use fleet_plugin::*;
struct No;
#[async_trait::async_trait]
impl fleet_capability::Processes for No {
    fn facilities(&self) -> BTreeMap<String,String> { BTreeMap::new() }
    async fn prepare(&self,_:&fleet_capability::Caller,_:&fleet_capability::Launcher,_:&fleet_model::Op,_:fleet_capability::Request)->Result<fleet_capability::Prepared,fleet_model::Error>{unimplemented!()}
    async fn start(&self,_:&fleet_capability::Caller,_:&fleet_model::Op,_:&str)->Result<fleet_capability::ProcessStatus,fleet_model::Error>{unimplemented!()}
    async fn signal(&self,_:&fleet_capability::Caller,_:&fleet_model::Op,_:&str,_:&str)->Result<(),fleet_model::Error>{unimplemented!()}
    async fn kill(&self,_:&fleet_capability::Caller,_:&fleet_model::Op,_:&str)->Result<(),fleet_model::Error>{unimplemented!()}
    async fn inspect(&self,_:&fleet_capability::Caller,_:&str)->Result<fleet_capability::ProcessStatus,fleet_model::Error>{unimplemented!()}
    async fn remove(&self,_:&fleet_capability::Caller,_:&fleet_model::Op,_:&str)->Result<(),fleet_model::Error>{unimplemented!()}
    async fn list(&self,_:&fleet_capability::Caller,_:Option<&str>,_:u32)->Result<(Vec<fleet_capability::ListedProcess>,Option<String>),fleet_model::Error>{unimplemented!()}
    async fn open(&self,_:&fleet_capability::Caller,_:&str,_:fleet_capability::Open)->Result<fleet_capability::Source,fleet_model::Error>{unimplemented!()}
}
#[tokio::main]
async fn main() {
    let t = std::time::Instant::now();
    let folder = PathBuf::from("/root/.cache/fleet-host/target/plugins");
    let names: Vec<fleet_model::Name> = ["native","mock"].map(|n| n.parse().unwrap()).to_vec();
    let grants = Grants::parse("g", &default_grants(&manifests(&folder).unwrap(), &names)).unwrap();
    let host = PluginHost::open(PluginHostOptions { folder, data: "/tmp/fp/warm".into(), cache: None, grants, grants_path: "g".into(), ceiling: None, settings: Default::default(),
        compile: CompileCommand { program: "/root/.cache/fleet-host/target/release/examples/compile".into(), args: vec![] }, processes: Arc::new(No), clock: Arc::new(fleet_seam::SystemClock), node_name: "x".into() }).unwrap();
    let opened = t.elapsed();
    host.settled().await;
    println!("open {opened:?} settled {:?} compilations {}", t.elapsed(), host.compilations());
    for p in host.plugins() { println!("{} {} {:?}", p.name, p.state, p.reason); }
    let d = host.driver(&"mock".parse().unwrap()).unwrap();
    let h = fleet_model::driver::Handle{schema:1,opaque:b"{}".to_vec()};
    for _ in 0..100 { let _ = d.inspect(&h).await; }
    let t = std::time::Instant::now();
    for _ in 0..5000 { let _ = d.inspect(&h).await; }
    println!("per call {:?}", t.elapsed()/5000);
    let t = std::time::Instant::now();
    let tasks: Vec<_> = (0..5000).map(|_| { let d = d.clone(); let h = h.clone(); tokio::spawn(async move { d.inspect(&h).await.map(|_|()).map_err(|e|e.code) }) }).collect();
    let mut errs = BTreeMap::new();
    for t in tasks { if let Err(e) = t.await.unwrap() { *errs.entry(e).or_insert(0)+=1; } }
    println!("parallel per call {:?} {errs:?}", t.elapsed()/5000);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for l in status.lines().filter(|l| l.starts_with("VmRSS")||l.starts_with("VmSize")||l.starts_with("Threads")) { println!("{l}"); }
}
