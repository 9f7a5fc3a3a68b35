-- A database of the sandbox 0.1.0, as `sqlite3 sandbox.db .dump` writes it.
BEGIN TRANSACTION;
CREATE TABLE batch_lines (
        batch_id TEXT NOT NULL REFERENCES batches (id),
        line INTEGER NOT NULL,
        ok INTEGER NOT NULL,
        content TEXT NOT NULL,
        PRIMARY KEY (batch_id, line)
    ) WITHOUT ROWID
    ;
INSERT INTO "batch_lines" VALUES('batch_JsHLxf09dbBKBW5tJ4sjs7up',1,1,'{"n": 1}');
CREATE TABLE batches (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        endpoint TEXT NOT NULL,
        input_file TEXT NOT NULL,
        completion_window TEXT NOT NULL,
        output_seconds INTEGER,
        metadata TEXT,
        status TEXT NOT NULL,
        model TEXT,
        errors TEXT,
        total INTEGER NOT NULL DEFAULT 0,
        completed INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        input_tokens INTEGER NOT NULL DEFAULT 0,
        output_tokens INTEGER NOT NULL DEFAULT 0,
        output_file TEXT,
        error_file TEXT,
        expires_at INTEGER NOT NULL,
        in_progress_at INTEGER,
        finalizing_at INTEGER,
        completed_at INTEGER,
        failed_at INTEGER,
        expired_at INTEGER,
        cancelling_at INTEGER,
        cancelled_at INTEGER
    );
INSERT INTO "batches" VALUES(1,'batch_JsHLxf09dbBKBW5tJ4sjs7up','learner',1795760176,'/v1/completions','file-x2kFwNcWy92BqSbGyWp0q6iT','24h',NULL,'{"a": "b"}','in_progress','superhero-mini',NULL,2,1,0,5,7,NULL,NULL,1795846576,1795760176,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE checkpoints (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        job_id TEXT NOT NULL REFERENCES jobs (id),
        created_at INTEGER NOT NULL,
        step INTEGER NOT NULL,
        model TEXT NOT NULL,
        metrics TEXT NOT NULL,
        UNIQUE (job_id, step)
    );
INSERT INTO "checkpoints" VALUES(1,'ftckpt_fMCiYt10C1phXFCiQLtdJrWE','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,1,'ft:superhero-mini:learner:hero:AAAAAAAA:ckpt-step-1','{"step": 1, "train_loss": 2.0}');
INSERT INTO "checkpoints" VALUES(2,'ftckpt_golFwlF09dlE1lDxAwxiJAmh','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,2,'ft:superhero-mini:learner:hero:BBBBBBBB','{"step": 2, "train_loss": 1.0}');
CREATE TABLE events (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        job_id TEXT NOT NULL REFERENCES jobs (id),
        created_at INTEGER NOT NULL,
        level TEXT NOT NULL,
        type TEXT NOT NULL,
        message TEXT NOT NULL,
        data TEXT,
        step INTEGER,
        UNIQUE (job_id, step)
    );
INSERT INTO "events" VALUES(1,'ftevent-zcnYcQc9ItkbzV7e9Ib7CYet','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,'info','message','Created fine-tuning job: ftjob-8XePIDftV570hSVCxVsBKNHi',NULL,NULL);
INSERT INTO "events" VALUES(2,'ftevent-RnJTGQEPDSAcOisb3BWuYOqL','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,'info','message','Validating training file: file-msIYLnYdCPIk0bpjsSwb17QL and validation file: file-msIYLnYdCPIk0bpjsSwb17QL',NULL,NULL);
INSERT INTO "events" VALUES(3,'ftevent-SI5X7mgXgVwoYgqLk0Sp2zEU','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,'info','message','Files validated, moving job to queued state',NULL,NULL);
INSERT INTO "events" VALUES(4,'ftevent-3J6QizZgr25ccVrPslcGCmjx','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,'info','message','Fine-tuning job started',NULL,NULL);
INSERT INTO "events" VALUES(5,'ftevent-UQ4Q9EcpdnVSBMzD2KREQ1OZ','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,'info','metrics','Step 1/2: training loss=2.00','{"step": 1, "train_loss": 2.0}',1);
INSERT INTO "events" VALUES(6,'ftevent-pTdedSNKMkYIO1XBDRf7CepI','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,'info','message','Checkpoint created at step 1 with Snapshot ID: ft:superhero-mini:learner:hero:AAAAAAAA:ckpt-step-1',NULL,NULL);
INSERT INTO "events" VALUES(7,'ftevent-MbDg74t4jX5dMtxIaRp02Ouj','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,'info','metrics','Step 2/2: training loss=1.00','{"step": 2, "train_loss": 1.0}',2);
INSERT INTO "events" VALUES(8,'ftevent-JG66Qbd8aUn3edBU2mnMnxQY','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,'info','message','New fine-tuned model created: ft:superhero-mini:learner:hero:BBBBBBBB',NULL,NULL);
INSERT INTO "events" VALUES(9,'ftevent-q6WOmCWmGGVvOanyw2fqaB4h','ftjob-8XePIDftV570hSVCxVsBKNHi',1795760176,'info','message','The job has successfully completed',NULL,NULL);
INSERT INTO "events" VALUES(10,'ftevent-oC6Hsa0Yqn0ceTdfLxqjOH8g','ftjob-dIcwcyIRQXFJSLq6heWdwFzl',1795760176,'info','message','Created fine-tuning job: ftjob-dIcwcyIRQXFJSLq6heWdwFzl',NULL,NULL);
INSERT INTO "events" VALUES(11,'ftevent-ENggCB8x6tV09VNMeyliyWSO','ftjob-dIcwcyIRQXFJSLq6heWdwFzl',1795760176,'info','message','Validating training file: file-msIYLnYdCPIk0bpjsSwb17QL',NULL,NULL);
INSERT INTO "events" VALUES(12,'ftevent-kqYStDADyjmlrs7EOmPM42Kv','ftjob-dIcwcyIRQXFJSLq6heWdwFzl',1795760176,'info','message','Files validated, moving job to queued state',NULL,NULL);
INSERT INTO "events" VALUES(13,'ftevent-Q5jEznSmVEHyqqvkj9VxAKCb','ftjob-dIcwcyIRQXFJSLq6heWdwFzl',1795760176,'info','message','Fine-tuning job started',NULL,NULL);
INSERT INTO "events" VALUES(14,'ftevent-CassmcyQ5cVuUtwjJUzNdPzO','ftjob-dIcwcyIRQXFJSLq6heWdwFzl',1795760176,'info','metrics','Step 1/2: training loss=2.00','{"step": 1, "train_loss": 2.0}',1);
CREATE TABLE files (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        filename TEXT NOT NULL,
        purpose TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        deleted_at INTEGER
    );
INSERT INTO "files" VALUES(1,'file-msIYLnYdCPIk0bpjsSwb17QL','learner','heroes.jsonl','fine-tune',49,1795760176,NULL,NULL);
INSERT INTO "files" VALUES(2,'file-x2kFwNcWy92BqSbGyWp0q6iT','learner','requests.jsonl','batch',6,1795760176,NULL,NULL);
INSERT INTO "files" VALUES(3,'file-K9ptbcJ9EkBKvWl8fuEZaRQi','learner','step_metrics.csv','fine-tune-results',40,1795760176,NULL,NULL);
CREATE TABLE jobs (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        started_at INTEGER,
        finished_at INTEGER,
        model TEXT NOT NULL,
        training_file TEXT NOT NULL,
        validation_file TEXT,
        suffix TEXT,
        seed INTEGER NOT NULL,
        method TEXT NOT NULL,
        hyperparameters TEXT NOT NULL,
        metadata TEXT,
        status TEXT NOT NULL,
        error TEXT,
        fine_tuned_model TEXT,
        trained_tokens INTEGER,
        estimated_finish INTEGER,
        result_files TEXT NOT NULL DEFAULT '[]',
        requested TEXT,
        lease_owner TEXT,
        lease_until REAL,
        claimed_at REAL,
        attempt INTEGER NOT NULL DEFAULT 0
    , fault TEXT);
INSERT INTO "jobs" VALUES(1,'ftjob-8XePIDftV570hSVCxVsBKNHi','learner',1795760176,1795760176,1795760176,'superhero-mini','file-msIYLnYdCPIk0bpjsSwb17QL','file-msIYLnYdCPIk0bpjsSwb17QL','hero',42,'{"type": "supervised"}','{"n_epochs": 2, "batch_size": 1, "learning_rate_multiplier": 1.0}','{"course": "heroes"}','succeeded',NULL,'ft:superhero-mini:learner:hero:BBBBBBBB',20,NULL,'["file-K9ptbcJ9EkBKvWl8fuEZaRQi"]',NULL,NULL,NULL,1.79576017631113743783e+09,1,NULL);
INSERT INTO "jobs" VALUES(2,'ftjob-dIcwcyIRQXFJSLq6heWdwFzl','learner',1795760176,1795760176,NULL,'superhero-mini','file-msIYLnYdCPIk0bpjsSwb17QL',NULL,'hero',42,'{"type": "supervised"}','{"n_epochs": 2, "batch_size": 1, "learning_rate_multiplier": 1.0}','{"course": "heroes"}','running',NULL,NULL,NULL,NULL,'[]',NULL,'trainer-2-78-def',1.79576018631272935868e+09,1.79576017631272935861e+09,1,'{"name": "fail_at_step", "steps": 3}');
CREATE TABLE keys (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        name TEXT NOT NULL,
        digest TEXT NOT NULL UNIQUE,
        last4 TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        revoked_at INTEGER
    );
INSERT INTO "keys" VALUES(1,'key-dlInodLc1EZshifN','learner','my laptop','e95891c68971b10061703dc22539c7e3fd9baa32e545dc3880a2b344ae8ff14f','NxYe',1795760176,NULL);
CREATE TABLE models (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        base TEXT NOT NULL,
        job_id TEXT NOT NULL REFERENCES jobs (id),
        path TEXT NOT NULL,
        format TEXT NOT NULL,
        step INTEGER NOT NULL
    );
INSERT INTO "models" VALUES(1,'ft:superhero-mini:learner:hero:AAAAAAAA:ckpt-step-1','learner',1795760176,'superhero-mini','ftjob-8XePIDftV570hSVCxVsBKNHi','ftjob-8XePIDftV570hSVCxVsBKNHi-1','completion',1);
INSERT INTO "models" VALUES(2,'ft:superhero-mini:learner:hero:BBBBBBBB','learner',1795760176,'superhero-mini','ftjob-8XePIDftV570hSVCxVsBKNHi','ftjob-8XePIDftV570hSVCxVsBKNHi-2','completion',2);
CREATE INDEX files_by_project ON files (project, n);
CREATE INDEX jobs_by_project ON jobs (project, n);
CREATE INDEX jobs_by_status ON jobs (status, n);
CREATE INDEX events_by_job ON events (job_id, n);
CREATE INDEX models_by_project ON models (project, n);
CREATE INDEX batches_by_project ON batches (project, n);
CREATE INDEX batches_by_status ON batches (status, n);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('keys',1);
INSERT INTO "sqlite_sequence" VALUES('files',3);
INSERT INTO "sqlite_sequence" VALUES('jobs',2);
INSERT INTO "sqlite_sequence" VALUES('events',14);
INSERT INTO "sqlite_sequence" VALUES('models',2);
INSERT INTO "sqlite_sequence" VALUES('checkpoints',2);
INSERT INTO "sqlite_sequence" VALUES('batches',1);
COMMIT;
PRAGMA user_version=3;
