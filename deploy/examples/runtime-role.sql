-- For installations where the role that owns the schema (ark_owner, in the chart: migration.postgresql.user) is not the
-- one that the processes log in with (ark). Run it as ark_owner, once after the first `ark migrate`.
grant usage on schema queue to ark;
grant select, insert, update, delete on all tables in schema queue to ark;
grant usage on all sequences in schema queue to ark;
grant execute on all functions in schema queue to ark;
grant select on public.ark_migrations to ark;
-- What later migrations make:
alter default privileges in schema queue grant select, insert, update, delete on tables to ark;
alter default privileges in schema queue grant usage on sequences to ark;
alter default privileges in schema queue grant execute on functions to ark;
