-- The database's own time: the only statement that asks for it, to measure how far our clock is off.
select clock_timestamp() as now
