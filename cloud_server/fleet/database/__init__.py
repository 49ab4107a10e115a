"""The fleet's database: what people say and decide; on PostgreSQL, which servers share, reports and replies too."""
