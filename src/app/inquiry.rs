//! Questions that the admin interface has about what serves.

use std::sync::Arc;

use crate::admin::Inquire;
use crate::admin::wire::{ExplainAsk, ExplainReply};
use crate::config::Written;

use super::explain::{Scene, explain};
use super::reload::Reloader;

impl Inquire for Reloader {
    fn explain(&self, asked: &ExplainAsk) -> Result<ExplainReply, String> {
        let (table, config) = (self.publisher.current(), self.serving());
        let listeners = config.as_ref().map_or(&[][..], |it| &it.listeners);
        explain(Scene { table: &table, listeners, key: Some(self.key) }, asked)
    }

    fn written(&self) -> Option<Arc<Written>> {
        self.serving().map(|it| Arc::clone(&it.written))
    }
}
