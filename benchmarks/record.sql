-- A record of %(orders)s orders with a request, five events, an execution and a commission each, as years of trading
-- leave it: one busy symbol and many others, nearly all filled, a second account that trades little.

CREATE TEMPORARY TABLE made AS
SELECT i AS id,
    timestamptz '2021-01-04 14:30Z' + i * (interval '4 years' / %(orders)s) AS at,
    CASE WHEN i %% 50 = 0 THEN 'DU1000002' ELSE 'DU1000001' END AS account,
    CASE WHEN i %% 2 = 0 THEN 'AAPL' ELSE 'S' || i %% 400 END AS symbol,
    CASE i %% 2 WHEN 0 THEN 265598 ELSE i %% 400 END AS con_id,
    CASE WHEN i %% 4 < 2 THEN 'BUY' ELSE 'SELL' END AS side,
    CASE i %% 100 WHEN 7 THEN 'REJECTED' WHEN 8 THEN 'CANCELED' ELSE 'FILLED' END AS status,
    lpad(i::text, 13, '0') AS stamp,
    1700000000 + i AS perm_id,
    lpad(to_hex(i), 8, '0') || '.0a.01.01' AS exec_id
FROM generate_series(1, %(orders)s) AS i;

INSERT INTO orders_orderrequest
    (id, received_at, endpoint, body, body_digest, actor, remote_address, request_id, refusal)
SELECT id, at, CASE WHEN id %% 20 = 0 THEN '/order/stop' ELSE '/order/limit' END,
    '{"symbol": "' || symbol || '", "action": "' || side || '", "quantity": 10, "limit_price": 150.25}',
    md5(stamp) || md5(stamp), 'api', '127.0.0.1', 'request-' || id,
    CASE WHEN id %% 500 = 0 THEN 'limit_price: This field is required.' ELSE '' END
FROM made;

INSERT INTO orders_requestanswer (request_id, answered_at, status_code, body, settled)
SELECT id, at + interval '40 ms', 200, jsonb_build_object('status', 'sent', 'permId', perm_id), true FROM made;

INSERT INTO orders_order
    (id, request_id, role, account_id, symbol, security_type, currency, side, order_type, time_in_force, order_ref, stamp,
     received_at, valid_until, status, quantity, limit_price, filled_quantity, filled_notional, client_id,
     broker_order_id, perm_id, broker_status, reason, last_sequence)
SELECT id, id, 'SINGLE', account, symbol, 'STK', 'USD', side, 'LIMIT', 'DAY', 'strategy_' || id %% 30, stamp,
    at, at + interval '10 s', status, 10, 150.25, 10, 1502.5, 17, id, perm_id, 'Filled', '', 5
FROM made;

INSERT INTO orders_orderevent
    (order_id, sequence, kind, from_status, to_status, actor, occurred_at, recorded_at, payload, raw, session, request_id)
SELECT id, step, kind, before, after, actor, CASE WHEN step > 3 THEN at END, at + step * interval '5 ms',
    CASE step
        WHEN 1 THEN '{"quantity": "10", "limit_price": "150.25"}'::jsonb
        WHEN 2 THEN jsonb_build_object('client_id', 17, 'broker_order_id', id, 'connection', 1, 'epoch', 1, 'stamp',
            stamp, 'digest', md5(stamp) || md5(stamp), 'unexplained', '0', 'trading_day', '2021-01-04')
        WHEN 3 THEN jsonb_build_object('perm_id', perm_id, 'broker_status', 'Submitted')
        ELSE jsonb_build_object('exec_id', exec_id || step, 'quantity', '5', 'price', '150.25', 'perm_id', perm_id)
    END,
    CASE WHEN step > 2 THEN '["11", "-1", "12345", "265598", "AAPL", "STK", "", "0", "", "", "SMART"]'::jsonb END,
    'default/1/1', CASE WHEN step = 1 THEN 'request-' || id ELSE '' END
FROM made, (VALUES
    (1, 'RECEIVED', NULL, 'RECEIVED', 'api'), (2, 'SENT', 'RECEIVED', 'PENDING_NEW', 'worker'),
    (3, 'ACCEPTED', 'PENDING_NEW', 'NEW', 'broker'), (4, 'PARTIAL_FILL', 'NEW', 'PARTIALLY_FILLED', 'broker'),
    (5, 'FILL', 'PARTIALLY_FILLED', 'FILLED', 'broker')
) AS story (step, kind, before, after, actor);

INSERT INTO orders_execution
    (account, exec_id, replaces, order_id, perm_id, client_id, broker_order_id, symbol, con_id, security_type, currency,
     side, quantity, price, exchange, order_ref, executed_at, time_text, source, raw, recorded_at)
SELECT account, exec_id, '', id, perm_id, 17, id, symbol, con_id, 'STK', 'USD', side, 10, 150.25, 'ISLAND', '', at,
    to_char(at, 'YYYYMMDD HH24:MI:SS') || ' UTC', 'trades()',
    '["11", "-1", "12345", "265598", "AAPL", "STK", "", "0", "", "", "SMART"]'::jsonb, at + interval '20 ms'
FROM made;

INSERT INTO orders_commission (exec_id, amount, currency, raw, recorded_at)
SELECT exec_id, 1, 'USD', '["59", "1"]'::jsonb, at + interval '21 ms' FROM made;

SELECT setval(pg_get_serial_sequence('orders_order', 'id'), %(orders)s);
SELECT setval(pg_get_serial_sequence('orders_orderrequest', 'id'), %(orders)s);
