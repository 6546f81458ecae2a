delete from dev_lease where instance = $1
