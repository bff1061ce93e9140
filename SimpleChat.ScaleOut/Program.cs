using SimpleChat.Hosting;
using SimpleChat.ScaleOut;

return await Server.RunAsync(args, builder =>
{
    builder.AddChat();
    builder.AddNode();
}, use: app => app.UseNode());
