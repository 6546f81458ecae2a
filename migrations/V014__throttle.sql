-- How often users may call in a service config, where it says so itself.
--
-- Most service configs leave it to the installation, whose numbers are settings of the process and not in the database.

alter table service_configs add column throttle text;

comment on column service_configs.throttle is 'rate limits that differ from the installation: JSON, numbers by key; null means none';
