-- What upkeep needs to find its work by an index, and to tell who left from who died.

insert into public.ark_migrations (migration, oldest_program) values (3, 2);

-- Which executions use a plan: what no execution uses any more is purged.
create index executions_plan on queue.executions (plan) where plan is not null;

-- When its process said that it ends. Its row stays for a while, because a claim of its own may commit late.
alter table queue.workers add column left_at timestamptz;

-- When an enqueue last used a plan, to ten minutes.
comment on column queue.plans.created_at is 'last use by an enqueue, to ten minutes';
