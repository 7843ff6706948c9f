// Chromium without a window, driven over its DevTools protocol: commands and events are JSON on one WebSocket. A
// browser test needs no package for that. Whatever the page complains about is kept.
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;

namespace EpSam.Native.Tests.Slides.Viewer;

/// <summary>One page of a browser.</summary>
internal sealed class Browser : IDisposable
{
    // Turns of waiting, not time: a process that is stopped meanwhile, or gets no core, has not waited.
    const int Patience = 3000, TurnMilliseconds = 20;
    static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "chrome"];

    readonly Process _process;
    readonly string _profile;
    readonly ClientWebSocket _socket = new();
    readonly ConcurrentDictionary<int, TaskCompletionSource<JsonElement>> _open = new();
    readonly CancellationTokenSource _end = new();
    readonly ConcurrentQueue<string> _complaints = new();
    int _last;

    Browser(Process process, string profile) => (_process, _profile) = (process, profile);

    /// <summary>Errors and warnings of the console, uncaught exceptions, requests that failed.</summary>
    public IReadOnlyCollection<string> Complaints => _complaints;

    /// <summary>Starts a browser, or skips the test.</summary>
    public static Browser StartOrSkip(int width, int height)
    {
        string? program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => Names.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);
        if (program is null) Assert.Ignore("no browser: apt-get install -y chromium");
        string profile = Directory.CreateTempSubdirectory("epsam-browser-").FullName;
        ProcessStartInfo start = new(program!) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in new[]
            {
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--hide-scrollbars", "--disable-background-networking", "--force-color-profile=srgb",
                "--remote-debugging-port=0", $"--user-data-dir={profile}", $"--window-size={width},{height}",
                "about:blank",
            }) start.ArgumentList.Add(argument);
        Process process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        Browser browser = new(process, profile);
        try
        {
            browser.Connect().GetAwaiter().GetResult();
            browser.Resize(width, height);
        }
        catch
        {
            browser.Dispose();
            throw;
        }
        return browser;
    }

    /// <summary>Sets the size of the window's content.</summary>
    public void Resize(int width, int height) => Send("Emulation.setDeviceMetricsOverride",
        new { width, height, deviceScaleFactor = 1, mobile = false });

    /// <summary>Opens an address and waits until its scripts have run.</summary>
    public void Open(string address)
    {
        Send("Page.navigate", new { url = address });
        WaitFor($"document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// <summary>The value of an expression, as JSON has it.</summary>
    public JsonElement Run(string expression)
    {
        JsonElement answer = Send("Runtime.evaluate",
            new { expression, returnByValue = true, awaitPromise = true, userGesture = true });
        if (answer.TryGetProperty("exceptionDetails", out JsonElement thrown))
            throw new InvalidOperationException($"{expression}: {thrown}");
        JsonElement result = answer.GetProperty("result");
        return result.TryGetProperty("value", out JsonElement value) ? value : default;
    }

    /// <summary>Waits until an expression is true.</summary>
    public void WaitFor(string expression)
    {
        for (int turn = 0; Run($"!!({expression})").ValueKind != JsonValueKind.True; turn++)
        {
            if (turn == Patience)
                throw new TimeoutException($"still not true: {expression}; the page: {string.Join("; ", Complaints)}");
            Thread.Sleep(TurnMilliseconds);
        }
    }

    /// <summary>Presses a key that types a character, or a named one.</summary>
    public void Press(string key)
    {
        string? text = key.Length == 1 ? key : null;
        Send("Input.dispatchKeyEvent", new { type = "keyDown", key, text });
        Send("Input.dispatchKeyEvent", new { type = "keyUp", key });
    }

    /// <summary>Moves the pointer; with <paramref name="click"/> presses its left button there too.</summary>
    public void Point(double x, double y, bool click = false)
    {
        Send("Input.dispatchMouseEvent", new { type = "mouseMoved", x, y });
        if (!click) return;
        Send("Input.dispatchMouseEvent", new { type = "mousePressed", x, y, button = "left", clickCount = 1 });
        Send("Input.dispatchMouseEvent", new { type = "mouseReleased", x, y, button = "left", clickCount = 1 });
    }

    /// <summary>What is seen, as PNG.</summary>
    public byte[] Screenshot() =>
        Send("Page.captureScreenshot", new { format = "png" }).GetProperty("data").GetBytesFromBase64();

    public void Dispose()
    {
        _end.Cancel();
        _socket.Dispose();
        try
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit(10_000);
            Directory.Delete(_profile, recursive: true);
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            // It ended by itself, or a part of it still writes: the system's folder for such files is cleared later.
        }
        _process.Dispose();
        _end.Dispose();
    }

    async Task Connect()
    {
        string file = Path.Combine(_profile, "DevToolsActivePort");
        string[] lines = [];
        for (int turn = 0; lines.Length < 2; turn++)
        {
            if (_process.HasExited) throw new InvalidOperationException($"the browser ended: {_process.ExitCode}");
            if (turn == Patience) throw new TimeoutException("the browser does not open its port");
            await Task.Delay(TurnMilliseconds);
            if (File.Exists(file)) lines = await File.ReadAllLinesAsync(file);
        }
        using HttpClient http = new();
        JsonElement page = default;
        for (int turn = 0; page.ValueKind == JsonValueKind.Undefined; turn++)
        {
            string list = await http.GetStringAsync($"http://127.0.0.1:{lines[0]}/json/list");
            page = JsonSerializer.Deserialize<JsonElement>(list).EnumerateArray()
                .FirstOrDefault(t => t.GetProperty("type").GetString() == "page");
            if (turn == Patience) throw new TimeoutException("the browser has no page");
        }
        await _socket.ConnectAsync(new Uri(page.GetProperty("webSocketDebuggerUrl").GetString()!), _end.Token);
        _ = Task.Run(Receive);
        foreach (string domain in new[] { "Page", "Runtime", "Log", "Network" }) Send($"{domain}.enable", new { });
    }

    JsonElement Send(string method, object parameters)
    {
        int id = Interlocked.Increment(ref _last);
        TaskCompletionSource<JsonElement> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _open[id] = answer;
        byte[] message = JsonSerializer.SerializeToUtf8Bytes(new { id, method, @params = parameters });
        lock (_socket) _socket.SendAsync(message, WebSocketMessageType.Text, true, _end.Token).Wait();
        for (int turn = 0; !answer.Task.Wait(TurnMilliseconds); turn++)
            if (turn == Patience) throw new TimeoutException($"no answer to {method}");
        return answer.Task.Result;
    }

    async Task Receive()
    {
        byte[] part = new byte[1 << 16];
        using MemoryStream message = new();
        try
        {
            while (!_end.IsCancellationRequested)
            {
                message.SetLength(0);
                WebSocketReceiveResult got;
                do
                {
                    got = await _socket.ReceiveAsync(part, _end.Token);
                    message.Write(part, 0, got.Count);
                }
                while (!got.EndOfMessage);
                if (got.MessageType == WebSocketMessageType.Close) break;
                Take(JsonSerializer.Deserialize<JsonElement>(message.ToArray()));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or WebSocketException or ObjectDisposedException)
        {
            // The end.
        }
        foreach (TaskCompletionSource<JsonElement> left in _open.Values)
            left.TrySetException(new InvalidOperationException("the browser is gone"));
    }

    void Take(JsonElement message)
    {
        if (message.TryGetProperty("id", out JsonElement id))
        {
            if (!_open.TryRemove(id.GetInt32(), out TaskCompletionSource<JsonElement>? answer)) return;
            if (message.TryGetProperty("error", out JsonElement error))
                answer.SetException(new InvalidOperationException(error.ToString()));
            else answer.SetResult(message.GetProperty("result"));
            return;
        }
        JsonElement what = message.GetProperty("params");
        string? complaint = message.GetProperty("method").GetString() switch
        {
            "Runtime.exceptionThrown" => what.GetProperty("exceptionDetails").ToString(),
            "Runtime.consoleAPICalled" when what.GetProperty("type").GetString() is "error" or "warning" or "assert" =>
                what.GetProperty("args").ToString(),
            "Log.entryAdded" when what.GetProperty("entry").GetProperty("level").GetString() is "error" or "warning" =>
                what.GetProperty("entry").ToString(),
            "Network.loadingFailed" when !what.TryGetProperty("canceled", out JsonElement off) || !off.GetBoolean() =>
                what.ToString(),
            _ => null,
        };
        if (complaint is not null) _complaints.Enqueue(complaint);
    }
}
