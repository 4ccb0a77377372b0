-- The application's tables as its ORM lays them out on SQLite: an enum is the text of its label, JSON is text,
-- a DATETIME is the text of a local time without zone, 'YYYY-MM-DD HH:MM:SS.ffffff'.

CREATE TABLE tasks (
    id INTEGER NOT NULL PRIMARY KEY,
    task_id VARCHAR(50) NOT NULL UNIQUE,
    task_name VARCHAR(100),
    description TEXT,
    status VARCHAR(11) DEFAULT 'PENDING',
    image_path VARCHAR(500),
    image_url VARCHAR(500),
    file_size INTEGER,
    qr_code TEXT,
    tracking_number VARCHAR(100),
    courier_company VARCHAR(50),
    tracking_data JSON,
    delivery_status VARCHAR(50),
    delivery_time DATETIME,
    document_url VARCHAR(500),
    document_path VARCHAR(500),
    screenshot_url VARCHAR(500),
    screenshot_path VARCHAR(500),
    started_at DATETIME,
    completed_at DATETIME,
    processing_time FLOAT,
    error_message TEXT,
    retry_count INTEGER DEFAULT 0,
    user_id INTEGER,
    extra_metadata JSON,
    remarks TEXT,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_tasks_status_created ON tasks (status, created_at);
CREATE INDEX idx_tasks_created_at ON tasks (created_at);
CREATE INDEX idx_tasks_user_status ON tasks (user_id, status);
CREATE INDEX idx_tasks_tracking_number ON tasks (tracking_number);

CREATE TABLE delivery_receipts (
    id INTEGER NOT NULL PRIMARY KEY,
    tracking_number VARCHAR(50) NOT NULL UNIQUE,
    doc_title VARCHAR(200) DEFAULT '送达回证',
    sender VARCHAR(100),
    send_time VARCHAR(50),
    send_location VARCHAR(200),
    receiver VARCHAR(100),
    status VARCHAR(10) DEFAULT 'CREATED',
    qr_code_path VARCHAR(255),
    barcode_path VARCHAR(255),
    receipt_file_path VARCHAR(255),
    tracking_screenshot_path VARCHAR(255),
    delivery_receipt_doc_path VARCHAR(255),
    user_id INTEGER,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE tracking_info (
    id INTEGER NOT NULL PRIMARY KEY,
    delivery_receipt_id INTEGER UNIQUE REFERENCES delivery_receipts (id),
    current_status VARCHAR(50),
    last_update DATETIME,
    tracking_data JSON,
    screenshot_path VARCHAR(500),
    notes TEXT,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME DEFAULT CURRENT_TIMESTAMP
);
