//! `micro publish` and `micro subscribe`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// What it is published under
    pub(crate) topic: Option<String>,
    /// The event; words are joined with spaces, and - is standard input
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    pub(crate) event: Vec<String>,
    /// Header of the event, which subscribers find in their metadata. Repeatable
    #[arg(long, alias = "metadata", env = "MICRO_METADATA", value_delimiter = ',', value_name = "KEY=VALUE")]
    pub(crate) header: Vec<String>,
    /// What the event is, where it is no JSON
    #[arg(long = "content_type", default_value = "application/json", value_name = "TYPE")]
    pub(crate) content_type: String,
    /// Each line of standard input is an event
    #[arg(long)]
    pub(crate) lines: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    /// The topic
    pub(crate) topic: Option<String>,
    /// Share the events with all subscribers of this queue
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    pub(crate) count: Option<usize>,
}
