using Microsoft.Extensions.Hosting;
using SimpleChat.AppHost;

// The whole picture on one machine: PostgreSQL, Redis, two nodes, and HAProxy in front of them. Each is a program that is installed here.
// They write into a temporary folder. At Ctrl+C they end, and the folder goes. Aspire (https://aspire.dev) starts them, and shows them in
// its dashboard.
try
{
    var ports = Ports.From(args);
    var (postgres, redis, haproxy) = (new Postgres(ports), new Redis(ports), new HAProxy(ports));
    ports.RequireFree();
    using var folder = new RunFolder();
    postgres.Create(folder);

    var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions { AllowUnsecuredTransport = true });
    Dashboard.Configure(builder.Configuration, ports);
    var database = postgres.AddTo(builder, folder);
    var map = redis.AddTo(builder, folder);
    var node1 = Node.AddTo(builder, "node1", ports.Node1, postgres, redis).WaitFor(database).WaitFor(map);
    var node2 = Node.AddTo(builder, "node2", ports.Node2, postgres, redis).WaitFor(database).WaitFor(map);
    haproxy.AddTo(builder).WaitFor(node1).WaitFor(node2);

    await using var app = builder.Build();
    await app.StartAsync();
    _ = Greeting.PrintAsync(app, ports);
    await app.WaitForShutdownAsync();
    return 0;
}
catch (StartException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
