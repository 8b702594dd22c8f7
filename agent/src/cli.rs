//! The command line: what may differ from launch to launch. The file holds the rest, see [`crate::config`].
//!
//! Parsing only: which of flag, variable, file and default wins is decided in `config`.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{BoolishValueParser, Resettable};
use clap::{
    Arg, Args, Command as Clap, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  podmeter demo                        Everything at once on this machine, no cluster needed
  podmeter check                       What would work here, what would not, and why
  podmeter run --config FILE           The agent, as it runs on every node
  podmeter once --standalone           One page of metrics on stdout, without an API server
  podmeter top --sort limit            Who is nearest to a limit, from the running agent

Exit codes: 0 success, 1 failure, 2 wrong settings or usage, 3 check found something that will not work.";

/// Per-node Kubernetes metrics: what each container uses against its requests and limits, with the
/// pod's labels on every series.
#[derive(Debug, Parser)]
#[command(name = "podmeter", version, styles = STYLES, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads this process's command line and variables; ends it for `--help` and wrong usage.
    #[must_use]
    pub fn read() -> Self {
        let line: Vec<OsString> = std::env::args_os().collect();
        let matches = command(&line, |name| std::env::var_os(name)).get_matches_from(line);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The commands, without the variables that do not count on this command line.
///
/// clap takes a variable that is set to nothing for an empty value, but manifests leave such behind; and it
/// lets a variable and a flag exclude each other, where the flag should win.
fn command(line: &[OsString], variable: impl Fn(&OsStr) -> Option<OsString>) -> Clap {
    let is_flag = |flag: &str| {
        line.iter().any(|word| {
            let rest = word.to_str().and_then(|word| word.strip_prefix(flag));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    };
    let counts = |arg: &Arg| {
        let value = arg.get_env().and_then(&variable).unwrap_or_default();
        match arg.get_id().as_str() {
            "kubeconfig" if is_flag("--standalone") => false,
            "standalone" => value != "false" && !value.is_empty() && !is_flag("--kubeconfig"),
            _ => !value.is_empty(),
        }
    };
    Cli::command().mut_subcommands(|command| {
        command.mut_args(|arg| {
            if arg.get_env().is_none() || counts(&arg) { arg } else { arg.env(Resettable::Reset) }
        })
    })
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent: sample this node and serve /metrics
    Run(Launch),
    /// Print one snapshot as Prometheus text and exit
    Once(Once),
    /// Say what would be collected here, what would not, and why
    Check(Check),
    /// Run everything at once on this machine: real cgroups, real processes, an embedded API server
    ///
    /// Needs no cluster and no configuration. As root it makes cgroups of its own (removed when it ends)
    /// and runs a handful of small processes in them: one that is throttled, one whose memory drifts
    /// towards its limit, a few that just work. Some 30 requests a second go to the HTTP apps among them,
    /// through the proxy, which measures each pod.
    Demo(Demo),
    /// Show the containers of a running agent as a table
    Top(Top),
    /// One process of the demo.
    #[command(hide = true)]
    DemoWorker(Worker),
}

/// Flags that override the file.
#[derive(Args, Clone, Debug, Default)]
pub struct Launch {
    /// Configuration file; without it /etc/podmeter/podmeter.yaml is read if it exists
    #[arg(long, value_name = "FILE", env = "PODMETER_CONFIG")]
    pub config: Option<PathBuf>,
    /// Name of this node, as the downward API gives it; needed in a cluster
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node: Option<String>,
    /// Reach the API server with this kubeconfig instead of the pod's service account
    #[arg(long, value_name = "FILE", env = "PODMETER_KUBECONFIG", conflicts_with = "standalone")]
    pub kubeconfig: Option<PathBuf>,
    /// Use no API server: names come from the kubelet's and the runtime's own files
    #[arg(long, env = "PODMETER_STANDALONE", value_parser = BoolishValueParser::new())]
    pub standalone: bool,
    /// Address for /metrics, /livez and /readyz, such as 0.0.0.0:9464 or `[::]:9464`; may be repeated
    #[arg(long, value_name = "ADDR", env = "PODMETER_LISTEN", value_delimiter = ',')]
    pub listen: Vec<SocketAddr>,
    /// Time between two samples, such as 10s; 1s to 5m
    #[arg(long, value_name = "DURATION", env = "PODMETER_INTERVAL", value_parser = humantime::parse_duration)]
    pub interval: Option<Duration>,
    /// Where the cgroup file systems are mounted
    #[arg(long, value_name = "DIR", env = "PODMETER_CGROUP_ROOT")]
    pub cgroup_root: Option<PathBuf>,
    /// Where the node's procfs is mounted
    #[arg(long, value_name = "DIR", env = "PODMETER_PROC_ROOT")]
    pub proc_root: Option<PathBuf>,
    /// How to log.
    #[command(flatten)]
    pub log: Log,
}

/// How to log.
#[derive(Args, Clone, Debug, Default)]
pub struct Log {
    /// What to log on stderr: a level, or targets with levels such as info,collector=debug
    #[arg(long = "log", value_name = "FILTER", env = "PODMETER_LOG")]
    pub filter: Option<String>,
    /// Shape of a log line
    #[arg(long = "log-format", value_name = "FORMAT", env = "PODMETER_LOG_FORMAT", value_enum)]
    pub format: Option<LogFormat>,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// `podmeter once`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  podmeter once --node $(hostname) --kubeconfig ~/.kube/config | grep limit_ratio
  podmeter once --standalone --rates | grep podmeter_cpu_limit_ratio")]
pub struct Once {
    /// Flags that override the file.
    #[command(flatten)]
    pub launch: Launch,
    /// Take two samples 1 s apart, so that CPU against limit and request can be told: they are rates
    #[arg(long)]
    pub rates: bool,
    /// Fail when the API server does not answer; otherwise series go out under the pods' uids
    #[arg(long)]
    pub strict: bool,
}

/// `podmeter check`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Exit code 3 when anything failed; degraded things do not count.")]
pub struct Check {
    /// Flags that override the file.
    #[command(flatten)]
    pub launch: Launch,
    /// Shape of the report
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Shape of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// `podmeter demo`
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Address for /metrics; when the default is taken, another port is used
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address of the proxy; when the default 127.0.0.1:8080 is taken, another port is used
    #[arg(long, value_name = "ADDR")]
    pub proxy_listen: Option<SocketAddr>,
    /// Time between two samples, such as 2s
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    pub interval: Duration,
    /// End by itself after this time, such as 30s
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub lasting: Option<Duration>,
    /// How to log.
    #[command(flatten)]
    pub log: Log,
}

/// `podmeter top`
#[derive(Args, Clone, Debug)]
#[command(after_help = "In a cluster: kubectl -n podmeter port-forward pod/<agent> 9464, then
  podmeter top
or, where the agent asks who reads:
  kubectl -n podmeter create token reader > token
  podmeter top --url https://127.0.0.1:9464 --ca ca.crt --server-name podmeter.podmeter.svc --token-file token")]
pub struct Top {
    /// The agent to ask
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9464")]
    pub url: http::Uri,
    /// How to come in.
    #[command(flatten)]
    pub entry: Entry,
    /// What to sort by, the highest first
    #[arg(long, value_name = "COLUMN", value_enum, default_value_t)]
    pub sort: Sort,
}

/// How to come in where an agent asks who reads. All files are PEM, but for the token's.
#[derive(Args, Clone, Debug, Default)]
pub struct Entry {
    /// File with a bearer token that is sent along
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Authorities that sign the agent's certificate; needed for an https address
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Name that the agent's certificate must have, if not the one in the address
    #[arg(long, value_name = "NAME", requires = "ca")]
    pub server_name: Option<String>,
    /// Client certificate to show, the chain with the own one first
    #[arg(long, value_name = "FILE", requires_all = ["key", "ca"])]
    pub certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
}

/// What `top` sorts by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// CPU in use
    #[default]
    Cpu,
    /// Memory in use (working set)
    Mem,
    /// The nearest limit, CPU or memory
    Limit,
}

/// `podmeter demo-worker`: reads a line from its stdin before it starts, ends when stdin closes.
#[derive(Args, Clone, Debug)]
pub struct Worker {
    /// Where an HTTP app listens.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// What it does.
    #[command(subcommand)]
    pub job: Job,
}

/// What a process of the demo does.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Job {
    /// Computes for a share of the time.
    Burn {
        /// Cores to use, such as 0.2 or 1.5.
        #[arg(long)]
        cores: f64,
        /// MiB to hold besides.
        #[arg(long, default_value_t = 0)]
        hold: usize,
    },
    /// Holds memory, more of it all the time.
    Drift {
        /// MiB to begin with.
        #[arg(long)]
        from: usize,
        /// KiB to add each second.
        #[arg(long)]
        step: usize,
    },
    /// Answers HTTP requests, once it has printed where it listens.
    Http {
        /// Milliseconds before each answer.
        #[arg(long)]
        delay: u64,
        /// MiB to hold besides.
        #[arg(long, default_value_t = 0)]
        hold: usize,
        /// One answer in so many is 500; none at 0.
        #[arg(long, default_value_t = 0)]
        errors: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn listen_may_be_repeated() {
        let Command::Run(launch) =
            parse("podmeter run --listen 127.0.0.1:1 --listen [::1]:2").unwrap().command
        else {
            panic!("not run");
        };
        assert_eq!(launch.listen.len(), 2);
    }

    /// Flags that still have a variable on this command line, while all variables are set to `value`.
    fn with_variables(line: &str, value: &str) -> Vec<String> {
        let line: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let clap = command(&line, |_| Some(value.into()));
        let run = clap.find_subcommand("run").unwrap();
        let args = run.get_arguments().filter(|arg| arg.get_env().is_some());
        args.map(|arg| arg.get_id().to_string()).collect()
    }

    #[test]
    fn a_variable_set_to_nothing_counts_as_not_set() {
        assert_eq!(with_variables("podmeter run", ""), Vec::<String>::new());
        assert_eq!(with_variables("podmeter run", "x").len(), 10);
    }

    #[test]
    fn a_flag_goes_before_the_variable_that_excludes_it() {
        let standalone = with_variables("podmeter run --standalone", "x");
        assert!(!standalone.contains(&"kubeconfig".to_owned()), "{standalone:?}");
        let kubeconfig = with_variables("podmeter run --kubeconfig=f", "x");
        assert!(!kubeconfig.contains(&"standalone".to_owned()), "{kubeconfig:?}");
        let no = with_variables("podmeter run", "false");
        assert!(
            !no.contains(&"standalone".to_owned()) && no.contains(&"node".to_owned()),
            "{no:?}"
        );
    }

    #[test]
    fn kubeconfig_and_standalone_exclude_each_other() {
        let error = parse("podmeter run --standalone --kubeconfig x").unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict);
    }

    #[test]
    fn an_address_without_a_port_is_a_usage_error_that_names_the_flag() {
        let text = parse("podmeter run --listen localhost").unwrap_err().to_string();
        assert!(text.contains("--listen"), "{text}");
    }
}
