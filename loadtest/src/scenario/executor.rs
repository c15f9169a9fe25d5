//! Executors: what starts the iterations of a load, and ends them when its time is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Run;
use super::arrivals::Arrivals;
use super::iteration::Iteration;
use super::load::Executor;
use super::record::Phase;

/// How long a user of a closed load waits after a Query that the API did not take.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// Runs one load of the scenario until its iterations have ended or were interrupted; `stop` interrupts them at once.
pub(super) async fn run(run: Arc<Run>, load: usize, stop: CancellationToken) {
    let what = &run.scenario.loads[load];
    let begin = run.recorder.begun() + what.start_time;
    tokio::select! {
        () = stop.cancelled() => return,
        () = sleep_until(begin) => {}
    }
    let end = begin + what.executor.duration();
    let tasks = TaskTracker::new();
    let interrupt = CancellationToken::new();
    let started = start(&run, load, begin, &tasks, &interrupt);
    tokio::select! {
        () = stop.cancelled() => {}
        () = async { started.await; tasks.close(); tasks.wait().await } => {}
        () = sleep_until(end + what.graceful_stop) => {}
    }
    tasks.close();
    interrupt.cancel();
    tasks.wait().await;
}

async fn start(
    run: &Arc<Run>,
    load: usize,
    begin: Instant,
    tasks: &TaskTracker,
    interrupt: &CancellationToken,
) {
    let starter = Starter {
        run: run.clone(),
        load,
        interrupt: interrupt.clone(),
        number: Arc::default(),
    };
    match &run.scenario.loads[load].executor {
        Executor::Arrivals { arrivals, max_vus } => {
            starter
                .arrivals(arrivals.clone(), *max_vus, begin, tasks)
                .await;
        }
        Executor::Users { vus, duration } => {
            starter.users(*vus, u64::MAX, begin + *duration, tasks);
        }
        Executor::Iterations {
            vus,
            iterations,
            max_duration,
        } => starter.users(*vus, *iterations, begin + *max_duration, tasks),
    }
}

#[derive(Clone)]
struct Starter {
    run: Arc<Run>,
    load: usize,
    interrupt: CancellationToken,
    number: Arc<AtomicU64>,
}

impl Starter {
    /// Starts by a schedule. An arrival that finds no free VU waits for one, and its latency goes on counting; one that
    /// finds none until the load is interrupted is dropped.
    async fn arrivals(
        &self,
        arrivals: Arrivals,
        max_vus: u32,
        begin: Instant,
        tasks: &TaskTracker,
    ) {
        let users = Arc::new(Users::new(max_vus));
        for due in arrivals {
            let intended = begin + due;
            sleep_until(intended).await;
            let (starter, users) = (self.clone(), users.clone());
            tasks.spawn(async move {
                let user = tokio::select! {
                    biased;
                    () = starter.interrupt.cancelled() => {
                        starter.run.recorder.drop_iteration(starter.load, intended);
                        return;
                    }
                    user = users.take() => user,
                };
                starter.iterate(user.number, intended).await;
            });
        }
    }

    /// Starts users who go on until they have done their iterations or their time is over.
    fn users(&self, vus: u32, iterations: u64, until: Instant, tasks: &TaskTracker) {
        for vu in 1..=vus {
            let starter = self.clone();
            tasks.spawn(async move {
                for _ in 0..iterations {
                    if starter.interrupt.is_cancelled() || Instant::now() >= until {
                        return;
                    }
                    let phase = starter.iterate(vu, Instant::now()).await;
                    if phase == Phase::Refused {
                        // Users whose Queries are refused at once must not turn into a flood.
                        tokio::time::sleep(AFTER_REFUSAL).await;
                    }
                }
            });
        }
    }

    async fn iterate(&self, vu: u32, intended: Instant) -> Phase {
        let iteration = Iteration {
            load: self.load,
            vu,
            number: self.number.fetch_add(1, Ordering::Relaxed),
            intended,
        };
        iteration.run(&self.run, &self.interrupt).await
    }
}

/// The VUs of an open load; whoever asks first gets the next free one.
struct Users {
    permits: Semaphore,
    free: Mutex<Vec<u32>>,
}

/// A VU that is given back when dropped.
struct User<'a> {
    users: &'a Users,
    number: u32,
}

impl Users {
    fn new(count: u32) -> Self {
        Self {
            permits: Semaphore::new(count as usize),
            free: Mutex::new((1..=count).rev().collect()),
        }
    }

    async fn take(&self) -> User<'_> {
        let permit = self.permits.acquire().await;
        permit.expect("the semaphore is never closed").forget();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        User {
            users: self,
            number: free.pop().expect("there are as many as permits"),
        }
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        let mut free = self
            .users
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.push(self.number);
        drop(free);
        self.users.permits.add_permits(1);
    }
}
