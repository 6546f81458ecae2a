//! What users do. A scenario is a round that is gone through again and again until the run is over; a round may end early when
//! something in it was refused or failed, which has been counted by then.
//!
//! The stampede is the exception: its users wait for each other, so it is a loop of its own.

mod browse;
mod churn;
mod crowd;
mod invites;
mod stampede;

use crate::cli::Scenario;
use crate::user::{Step, User};

/// How often, of a hundred rounds of `mixed`, which one is taken: churn, browse, invites, crowd, and the rest reconnects.
const MIX: [usize; 4] = [40, 30, 15, 10];

/// Goes on until the run is over.
pub async fn go(user: &mut User) {
    if user.world.scenario == Scenario::ReconnectStampede {
        stampede::all_together(user).await;
        return;
    }
    while round(user).await.is_ok() {}
}

async fn round(user: &mut User) -> Step<()> {
    match user.world.scenario {
        Scenario::LobbyChurn => churn::round(user).await,
        Scenario::BrowseStorm => browse::round(user).await,
        Scenario::InviteWave => invites::round(user).await,
        Scenario::JoinStorm => crowd::round(user).await,
        Scenario::ReconnectStampede => stampede::alone(user).await,
        Scenario::Mixed => {
            let mut chance = user.random.below(100);
            for (kind, share) in MIX.into_iter().enumerate() {
                if chance < share {
                    return match kind {
                        0 => churn::round(user).await,
                        1 => browse::round(user).await,
                        2 => invites::round(user).await,
                        _ => crowd::round(user).await,
                    };
                }
                chance -= share;
            }
            stampede::alone(user).await
        }
    }
}
