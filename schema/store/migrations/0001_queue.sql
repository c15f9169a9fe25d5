-- The queue: executions of Queries, from enqueue to the report of their status.
-- Hot tables are narrow and rows move between them by delete and insert; docs/QUEUE.md has the state machine.

-- Which migrations this database has, and the oldest program that still works with each. A program is named by the
-- number of the newest migration that it knows.
create table public.ark_migrations (
    migration      bigint primary key,
    oldest_program bigint not null,
    applied_at     timestamptz not null default now()
);
insert into public.ark_migrations (migration, oldest_program) values (1, 1);

create schema queue;

-- Resolved targets, shared by all executions with the same content.
create table queue.plans (
    hash       bytea primary key,          -- SHA-256 over format and body
    format     smallint not null,          -- workers that do not know the format leave its executions waiting
    body       text not null,              -- JSON text of the Plan; text, because it may hold U+0000
    created_at timestamptz not null default now()
);

-- One row per (Query uid, round), kept as a tombstone until the Query object is gone.
create table queue.executions (
    id          bigint generated always as identity primary key,
    uid         uuid not null,             -- metadata.uid of the Query
    round       integer not null,          -- 0, then one more after each wait for a human
    namespace   text collate "C" not null,
    name        text collate "C" not null,
    plan        bytea,                     -- null: could not be planned, an outcome was inserted with it
    plan_format smallint not null,
    input       text not null,             -- JSON text of the Input
    scope       bigint not null,           -- the quota of its model calls; 0: none
    class       smallint not null,         -- order inside a lane, smaller first; fixed here
    created_at  timestamptz not null,      -- metadata.creationTimestamp
    enqueued_at timestamptz not null default clock_timestamp(),
    timeout     interval not null,         -- bounds the wait, and again the execution from its first claim
    wait_until  timestamptz not null,      -- created_at + timeout
    trace       text,                      -- W3C traceparent of the enqueue
    ttl         interval not null,         -- the object is deleted this long after it ended
    cancel_at   timestamptz,               -- intent: spec.cancel was seen
    delete_at   timestamptz,               -- intent: the object is gone
    unique (uid, round)
);
create index executions_wait_until on queue.executions (wait_until);
create index executions_delete_at on queue.executions (delete_at) where delete_at is not null;

-- What can be claimed now: a lane per scope and namespace.
create sequence queue.ready_seq;
create table queue.ready (
    scope       bigint not null,
    namespace   text collate "C" not null,
    class       smallint not null,
    seq         bigint not null,
    execution   bigint not null,
    attempt     integer not null,          -- attempts that have ended so far
    takeovers   smallint not null,         -- workers lost in a row without a new committed step
    plan_format smallint not null,
    primary key (scope, namespace, class, seq)
);

-- What becomes ready at a due time: retries with their back-off.
create table queue.scheduled (
    due_at      timestamptz not null,
    seq         bigint not null,
    execution   bigint not null unique,
    attempt     integer not null,
    takeovers   smallint not null,
    primary key (due_at, seq)
);

-- What a worker executes. The key starts with the run token, which is fresh for each claim statement, so that no scan
-- walks over what earlier claims left behind.
create table queue.running (
    run_token   uuid not null,
    execution   bigint not null unique,
    incarnation uuid not null,
    scope       bigint not null,
    namespace   text collate "C" not null,
    class       smallint not null,
    seq         bigint not null,
    attempt     integer not null,          -- this attempt's number, from 1
    takeovers   smallint not null,
    started_at  timestamptz not null,      -- first claim of the execution
    claimed_at  timestamptz not null,      -- this claim
    primary key (run_token, execution)
);
create index running_incarnation on queue.running (incarnation, claimed_at);

-- Executions that have been claimed before and wait again: their deadline runs on.
create table queue.resumed (
    execution  bigint primary key,
    started_at timestamptz not null,
    run_until  timestamptz not null
);
create index resumed_run_until on queue.resumed (run_until);

-- One row per start of a process that beats.
create table queue.workers (
    incarnation uuid primary key,
    name        text not null,
    slots       integer not null,          -- 0: beats and reports, claims nothing
    beat        bigint not null,           -- the tick of its last beat
    started_at  timestamptz not null default clock_timestamp(),
    dead_at     timestamptz                -- six ticks behind; stays dead
) with (fillfactor = 50);

-- Row 'tick' counts ticks: at least 0.9 s of database time apart, so a paused database does not tick. The other rows say
-- when an upkeep task is next due and up to where it has looked.
create table queue.clock (
    task   text primary key,
    tick   bigint not null default 0,
    due_at timestamptz not null default clock_timestamp(),
    bound  timestamptz
) with (fillfactor = 50);
insert into queue.clock (task) values ('tick'), ('reap'), ('promote'), ('expire'), ('purge'), ('heads'), ('early');

-- Committed model replies, tool results and started marks.
create table queue.steps (
    execution    bigint not null,
    path         text collate "C" not null,  -- turn.3, turn.3/call.2
    kind         smallint not null,          -- 0 started mark, 1 reply, 2 result
    seq          bigint generated always as identity,
    run_token    uuid not null,
    request_hash bytea not null,
    body         text not null,              -- JSON text
    usage        jsonb not null,             -- tokens of this step
    created_at   timestamptz not null default clock_timestamp(),
    primary key (execution, path, kind)
);

-- How an execution ended: unique and immutable, the fence for every ending.
create table queue.outcomes (
    execution  bigint primary key,
    phase      text not null check (phase in ('done', 'error', 'canceled')),
    class      text,
    body       text,                         -- JSON text of the Outcome; null where the class says it all
    run_token  uuid,                         -- the run that ended it; null: ended without a run
    started_at timestamptz,
    ended_at   timestamptz not null default clock_timestamp()
);

-- Which state of an execution the Query's status should show, and which it shows.
create table queue.reports (
    execution        bigint primary key,
    wanted           integer not null,
    reported         integer not null default 0,
    final            boolean not null,       -- an outcome exists
    due_at           timestamptz not null,   -- next try; while a reporter holds it, the end of its lease
    token            uuid,                   -- the reporter that holds it
    resource_version text,                   -- of the Query after our last patch
    failures         integer not null default 0,
    expires_at       timestamptz             -- when the object is to be deleted; set by the outcome
) with (fillfactor = 70);
create index reports_final on queue.reports (due_at) where final and reported < wanted;
create index reports_early on queue.reports (due_at) where not final and reported < wanted;
create index reports_expiry on queue.reports (expires_at) where expires_at is not null;

-- One row per lane that has or lately had work.
create table queue.heads (
    scope     bigint not null,
    namespace text collate "C" not null,
    weight    double precision not null default 1 check (weight > 0),
    vtime     double precision not null,     -- virtual time: work taken divided by weight
    primary key (scope, namespace)
) with (fillfactor = 50);

-- Ends executions that no run will end: inserts the outcome, arms the report. Returns those that it ended.
create function queue.end_v1(p_executions bigint[], p_phase text, p_class text)
returns setof bigint language sql as $$
    with ended as (
        insert into queue.outcomes (execution, phase, class, started_at)
        select e.id, p_phase, p_class, r.started_at
        from queue.executions e left join queue.resumed r on r.execution = e.id
        where e.id = any (p_executions)
        order by e.id
        on conflict (execution) do nothing
        returning execution
    ), armed as (
        update queue.reports r
        set wanted = r.wanted + 1, final = true, due_at = clock_timestamp(), expires_at = clock_timestamp() + e.ttl
        from ended join queue.executions e on e.id = ended.execution
        where r.execution = ended.execution
    )
    select execution from ended
$$;

-- Hot tables: dead rows lie in the way of claims, so vacuum early and never truncate under an exclusive lock.
do $$
declare hot text;
begin
    foreach hot in array array['ready', 'scheduled', 'running', 'reports', 'heads', 'workers', 'clock'] loop
        execute format('alter table queue.%I set (autovacuum_vacuum_scale_factor = 0.01,
            autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off,
            autovacuum_analyze_scale_factor = 0.05)', hot);
    end loop;
end $$;
