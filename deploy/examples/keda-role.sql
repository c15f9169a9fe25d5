-- For KEDA: may count the queue and nothing else, with few connections and short statements.
-- psql -v password="'...'" -f keda-role.sql, as the owner of the database.
create role ark_scaler login password :password connection limit 4;
alter role ark_scaler set statement_timeout = '2s';
alter role ark_scaler set default_transaction_read_only = on;
grant usage on schema queue to ark_scaler;
grant select on queue.ready, queue.running, queue.scheduled to ark_scaler;
